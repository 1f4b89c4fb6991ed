// ONNX Runtime Web: the backends wasm, webgl and webgpu. See engine.mjs.

import { Failure, overheard, Session, takes } from './engine.mjs';
import { describeWebGL, describeWebGPU, drawsFloat32, requireGPU } from './gpu.mjs';

// The builds of wasm and webgl have no other backend to fall back to. That of webgpu can compute nodes on the CPU, and
// is told not to: it then refuses a model of which WebGPU cannot compute every node.
const BUILDS = { wasm: 'ort.wasm.min.mjs', webgl: 'ort.webgl.min.mjs', webgpu: 'ort.webgpu.min.mjs' };

// How a GPU's backend refuses an operator as it runs: WebGL one of a form that it does not know ("Reduce op requires 1
// input."), WebGPU one that needs what the GPU lacks ("requires f16 but the device does not support it").
const REFUSED = /support|not implemented|requires \d+ inputs?\b/i;

const DTYPES = {
    wasm: ['float32', 'float64', 'float16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'bool'],
    webgl: ['float32'],
    webgpu: ['float32', 'float16', 'int32', 'uint32', 'int64', 'uint64', 'bool', 'int8', 'uint8'],
};

// y = Identity(x), as an ONNX file: ONNX Runtime starts a backend with the first session on it, and ends it with the last,
// so that this one stays.
const IDENTITY = 'CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCAhAN';

// Where a session that logs everything says that it computes its nodes.
const placements = overheard(/ VerifyEachNodeIsAssignedToAnEp\] /);

export async function load(backend, { packages, threads }) {
    const folder = new URL('onnxruntime-web/dist/', new URL(packages, document.baseURI));
    try {
        await requireGPU(backend);
        const ort = await import(new URL(BUILDS[backend], folder).href);
        ort.env.wasm.wasmPaths = folder.href;
        ort.env.wasm.numThreads = backend === 'wasm' ? threads : 1;
        await create(ort, backend, Uint8Array.from(atob(IDENTITY), (letter) => letter.charCodeAt(0)));
        return new Engine(ort, backend, backend === 'webgpu' ? await ort.env.webgpu.device : null);
    } catch (error) {
        throw new Failure('unavailable', error);
    }
}

function create(ort, backend, model, options = {}) {
    const strict = { extra: { session: { disable_cpu_ep_fallback: '1' } } };
    return ort.InferenceSession.create(model, {
        executionProviders: [backend],
        ...(backend === 'webgpu' ? strict : {}),
        ...options,
    });
}

// What WebGPU leaves to the CPU, where it may, by ONNX Runtime's own log: "Add (double), ...", or "" where it leaves nothing.
async function leftToTheCPU(ort, model, options) {
    placements.length = 0;
    try {
        const session = await create(ort, 'webgpu', model, { ...options, extra: {}, logSeverityLevel: 0 });
        await session.release();
    } catch {
        return '';
    }
    const told = placements.splice(0).map((line) => line.split('VerifyEachNodeIsAssignedToAnEp]')[1]);
    const nodes = told.slice(told.findIndex((line) => line.includes('[CPUExecutionProvider]')) + 1);
    const end = nodes.findIndex((line) => !line.startsWith('   '));
    return nodes.slice(0, end < 0 ? undefined : end).map((line) => line.trim()).join(', ');
}

class Engine {
    #ort;
    #backend;
    #device;

    constructor(ort, backend, device) {
        this.#ort = ort;
        this.#backend = backend;
        this.#device = device;
        this.threads = backend === 'wasm' ? ort.env.wasm.numThreads : 1;
        this.settings = {
            executionProviders: backend,
            ...(backend === 'wasm' && { numThreads: String(this.threads), simd: 'fixed' }),
            ...(backend === 'webgl' && { EXT_color_buffer_float: String(drawsFloat32(ort.env.webgl.context)) }),
            ...(backend === 'webgpu' && { 'session.disable_cpu_ep_fallback': '1' }),
        };
    }

    async open(url, beside = {}) {
        const model = await fetched(url);
        const externalData = Object.entries(beside).map(([path, data]) => ({ path, data }));
        const options = externalData.length > 0 ? { externalData } : {};
        try {
            const session = await create(this.#ort, this.#backend, model, options);
            return new OrtSession(this.#ort, session, this.#device, this.#backend);
        } catch (error) {
            // What the wasm backend cannot load is no model; a GPU's may lack an operator of a good one.
            const left = this.#backend === 'webgpu' ? await leftToTheCPU(this.#ort, model, options) : '';
            const why = left ? new Error(`WebGPU lacks what ${left} needs, and would leave it to the CPU`) : error;
            throw new Failure(this.#backend === 'wasm' ? 'model' : 'unavailable', why);
        }
    }

    describe() {
        if (this.#backend === 'webgl') {
            const { name, emulated } = describeWebGL(this.#ort.env.webgl.context);
            return { proof: `the build with WebGL alone, on ${name}`, emulated };
        }
        if (this.#backend === 'webgpu') {
            const { name, emulated } = describeWebGPU(this.#device.adapterInfo);
            return { proof: `no node may be left to the CPU, on ${name}`, emulated };
        }
        return { proof: `the build with WebAssembly alone, ${this.threads} thread(s)`, emulated: '' };
    }
}

class OrtSession extends Session {
    #ort;
    #session;
    #device;
    #backend;

    constructor(ort, session, device, backend) {
        super();
        this.#ort = ort;
        this.#session = session;
        this.#device = device;
        this.#backend = backend;
    }

    // On WebGPU in buffers of its device; the others have no place for them but the host.
    place(feeds) {
        takes(feeds, DTYPES[this.#backend], `ONNX Runtime Web's ${this.#backend}`);
        return Object.fromEntries(feeds.map((feed) => [feed.name, this.#device ? this.#upload(feed) : this.#tensor(feed)]));
    }

    #tensor({ dtype, shape, data }) {
        return new this.#ort.Tensor(dtype, data, shape);
    }

    #upload({ dtype, shape, data }) {
        const { COPY_DST, COPY_SRC, STORAGE } = GPUBufferUsage;
        const size = Math.max(16, Math.ceil(data.byteLength / 16) * 16);
        const buffer = this.#device.createBuffer({ size, usage: COPY_DST | COPY_SRC | STORAGE, mappedAtCreation: true });
        new Uint8Array(buffer.getMappedRange()).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
        buffer.unmap();
        return this.#ort.Tensor.fromGpuBuffer(buffer, { dataType: dtype, dims: shape, dispose: () => buffer.destroy() });
    }

    async compute(inputs) {
        const found = await this.#run(inputs);
        return Promise.all(
            this.#session.outputNames.map(async (name) => {
                const tensor = found[name];
                return { name, dtype: tensor.type, shape: tensor.dims, data: await tensor.getData(), tensor };
            }),
        );
    }

    async #run(inputs) {
        try {
            return await this.#session.run(inputs);
        } catch (error) {
            if (this.#backend === 'wasm' || !REFUSED.test(error.message)) {
                throw error;
            }
            const why = `ONNX Runtime Web's ${this.#backend} cannot run this model: ${error.message}`;
            throw new Failure('unavailable', new Error(why));
        }
    }

    dispose(outputs) {
        outputs.forEach(({ tensor }) => tensor.dispose());
    }

    drop(inputs) {
        Object.values(inputs).forEach((tensor) => tensor.dispose());
    }

    close() {
        return this.#session.release();
    }
}

async function fetched(url) {
    const response = await fetch(new URL(url, document.baseURI));
    if (!response.ok) {
        throw new Failure('model', new Error(`${url}: ${response.status} ${response.statusText}`));
    }
    return new Uint8Array(await response.arrayBuffer());
}
