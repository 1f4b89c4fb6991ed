// LiteRT.js: the accelerators wasm and webgpu. See engine.mjs. Its page has an import map for @litertjs/wasm-utils:
//
//   {"imports": {"@litertjs/wasm-utils": "PACKAGES/@litertjs/wasm-utils/dist/index.js"}}

import { Failure, overheard, Session, takes } from './engine.mjs';
import { describeWebGPU, requireGPU } from './gpu.mjs';

const DTYPES = ['float32', 'int32', 'uint8'];

// LiteRT.js does not say that a run failed: its outputs hold what they held before, and the console is told an ERROR.
const errors = overheard(/^ERROR:/);

export async function load(backend, { packages, threads }) {
    const folder = new URL('@litertjs/core/', new URL(packages, document.baseURI));
    try {
        await requireGPU(backend);
        const litert = await import(new URL('dist/index.js', folder).href);
        litert.unloadLiteRt(); // a page has one of its builds at a time
        const isThreaded = backend === 'wasm' && threads !== 1 && globalThis.crossOriginIsolated;
        const library = await litert.loadLiteRt(new URL('wasm/', folder).href, { threads: isThreaded });
        if (backend === 'webgpu' && !library.getWebGpuDevice()) {
            throw new Error('the browser gives no WebGPU device');
        }
        return new Engine(litert, library, backend, isThreaded ? threads : 1);
    } catch (error) {
        throw new Failure('unavailable', error);
    }
}

class Engine {
    #litert;
    #library;
    #backend;

    constructor(litert, library, backend, threads) {
        this.#litert = litert;
        this.#library = library;
        this.#backend = backend;
        this.threads = threads ?? library.liteRtWasm.getThreadCount();
        this.settings = {
            accelerator: backend,
            ...(backend === 'wasm' ? { numThreads: String(this.threads) } : { precision: 'fp32' }),
        };
    }

    async open(url) {
        const options = {
            accelerator: this.#backend,
            cpuOptions: { numThreads: this.threads },
            gpuOptions: { precision: 'fp32' },
        };
        let model;
        try {
            model = await this.#library.loadAndCompile(new URL(url, document.baseURI).href, options);
        } catch (error) {
            throw new Failure('model', new Error([...errors.splice(0), error.message].join(' ')));
        }
        // LiteRT.js compiles a model for the CPU, in part or whole, where WebGPU lacks an operator of it.
        if (model.options.accelerator !== this.#backend || (this.#backend === 'webgpu' && !model.isFullyAccelerated)) {
            model.delete();
            const why = ['WebGPU lacks an operator of this model', ...errors.splice(0)].join(': ');
            throw new Failure('unavailable', new Error(why));
        }
        return new LitertSession(this.#litert, model, this.#backend);
    }

    describe() {
        if (this.#backend === 'webgpu') {
            const { name, emulated } = describeWebGPU(this.#library.getWebGpuDevice().adapterInfo);
            return { proof: `fully compiled for WebGPU, on ${name}`, emulated };
        }
        return { proof: `compiled for the accelerator wasm, ${this.threads} thread(s)`, emulated: '' };
    }
}

class LitertSession extends Session {
    #litert;
    #model;
    #backend;

    constructor(litert, model, backend) {
        super();
        this.#litert = litert;
        this.#model = model;
        this.#backend = backend;
        this.inputs = model.getInputDetails().map(described);
        this.outputs = model.getOutputDetails().map(described);
    }

    async place(feeds) {
        takes(feeds, DTYPES, 'LiteRT.js');
        const inputs = {};
        for (const { name, shape, data } of feeds) {
            const tensor = new this.#litert.Tensor(data, shape);
            inputs[name] = this.#backend === 'webgpu' ? await tensor.moveTo('webgpu') : tensor;
        }
        return inputs;
    }

    async compute(inputs) {
        errors.length = 0;
        const found = await this.#model.run(inputs);
        if (errors.length > 0) {
            Object.values(found).forEach((tensor) => tensor.delete());
            throw new Failure('run', new Error(errors.splice(0).join(' ')));
        }
        return Promise.all(
            this.outputs.map(async ({ name, dtype }) => {
                const tensor = found[name];
                const shape = Array.from(tensor.type.layout.dimensions);
                return { name, dtype, shape, data: await tensor.data(), tensor };
            }),
        );
    }

    dispose(outputs) {
        outputs.forEach(({ tensor }) => tensor.delete());
    }

    drop(inputs) {
        Object.values(inputs).forEach((tensor) => tensor.delete());
    }

    close() {
        this.#model.delete();
    }
}

function described({ name, dtype, shape }) {
    return { name, dtype, shape: Array.from(shape) };
}
