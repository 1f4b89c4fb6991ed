// Which GPU a page has, by the browser's own word for it, and whether software plays it.

// The programs that play a GPU, as they call themselves, and the name under which they are known.
const SOFTWARE = [
    [/swiftshader/i, 'SwiftShader'],
    [/llvmpipe|softpipe|lavapipe/i, 'llvmpipe'],
    [/basic render/i, 'Microsoft Basic Render Driver'],
];

// {name, emulated} of a WebGL context. Firefox tells the renderer without the extension.
export function describeWebGL(gl) {
    const extension = gl.getExtension('WEBGL_debug_renderer_info');
    const name = String(gl.getParameter(extension ? extension.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    return { name, emulated: emulated(name) };
}

// {name, emulated} of a GPUAdapterInfo.
export function describeWebGPU(info) {
    const name = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ') || 'unnamed';
    return { name, emulated: emulated(name) || (info.isFallbackAdapter ? 'a fallback adapter' : '') };
}

function emulated(name) {
    return SOFTWARE.find(([pattern]) => pattern.test(name))?.[1] ?? '';
}

// Throw where the browser lacks the GPU of a backend; those without one pass.
export async function requireGPU(backend) {
    if (backend === 'webgl') {
        const canvas = document.createElement('canvas');
        if (!(canvas.getContext('webgl2') ?? canvas.getContext('webgl'))) {
            throw new Error('the browser has no WebGL');
        }
    }
    if (backend === 'webgpu') {
        if (!navigator.gpu) {
            throw new Error('the browser has no WebGPU');
        }
        if (!(await navigator.gpu.requestAdapter())) {
            throw new Error('the browser has WebGPU, and no GPU for it');
        }
    }
}

// Whether WebGL can draw into textures of float32; where it cannot, the libraries compute in float16.
export function drawsFloat32(gl) {
    return gl.getExtension('EXT_color_buffer_float') !== null;
}
