// An image file as runtimes/images.py reads it: upright as its EXIF data say, 8 bits, RGB, the colours below
// transparency, no colour profile applied. A grey image has three equal channels, which come to the same numbers.

const MAX_PIXELS = 1 << 24;

// {height, width, channels: 3, data} of a Blob. Throws for what is no image here.
export async function readPicture(blob) {
    let bitmap;
    try {
        bitmap = await createImageBitmap(blob, {
            imageOrientation: 'from-image',
            premultiplyAlpha: 'none',
            colorSpaceConversion: 'none',
        });
    } catch {
        throw new Error('This is no image that the browser can read.');
    }
    const { width, height } = bitmap;
    if (width * height > MAX_PIXELS) {
        throw new Error(`The image has ${width} × ${height} pixels; at most 16 million fit here.`);
    }
    const rgba = onCanvas(bitmap);
    return { height, width, channels: 3, data: withoutAlpha(isOpaque(rgba) ? rgba : belowAlpha(bitmap)) };
}

// An image of 8 bits as something that a canvas draws.
export function asImageData({ height, width, channels, data }, isBGR = false) {
    const rgba = new Uint8ClampedArray(height * width * 4);
    for (let i = 0, at = 0; at < rgba.length; i += channels, at += 4) {
        for (let c = 0; c < 3; c++) {
            rgba[at + c] = data[i + (channels === 3 ? (isBGR ? 2 - c : c) : 0)];
        }
        rgba[at + 3] = 255;
    }
    return new ImageData(rgba, width, height);
}

function onCanvas(bitmap) {
    const context = canvasFor(bitmap).getContext('2d', { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
}

// A 2D canvas multiplies colours by their alpha and so forgets those of transparent pixels; a texture keeps them.
function belowAlpha(bitmap) {
    const gl = canvasFor(bitmap).getContext('webgl');
    if (gl === null) {
        return onCanvas(bitmap);
    }
    const rgba = new Uint8Array(bitmap.width * bitmap.height * 4);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
    gl.readPixels(0, 0, bitmap.width, bitmap.height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    gl.getExtension('WEBGL_lose_context')?.loseContext();
    return rgba;
}

function canvasFor({ width, height }) {
    return Object.assign(document.createElement('canvas'), { width, height });
}

function isOpaque(rgba) {
    for (let at = 3; at < rgba.length; at += 4) {
        if (rgba[at] !== 255) {
            return false;
        }
    }
    return true;
}

function withoutAlpha(rgba) {
    const rgb = new Uint8Array((rgba.length / 4) * 3);
    for (let at = 0, to = 0; at < rgba.length; at += 4) {
        rgb[to++] = rgba[at];
        rgb[to++] = rgba[at + 1];
        rgb[to++] = rgba[at + 2];
    }
    return rgb;
}
