// TF.js: the backends wasm, js (its name in TF.js is cpu), webgl and webgpu. See engine.mjs.

import { Failure } from './engine.mjs';
import { describeWebGL, describeWebGPU, requireGPU } from './gpu.mjs';
import { GraphSession } from './graph_session.mjs';

// Some operations on tensors of fewer numbers than this flag says, none of them on the GPU yet, TF.js does in JavaScript:
// shapes above all. That is left on, as in a program of one's own; on WebGPU shapes need it. A model of which nothing came
// to the GPU is refused.
const SMALL = { webgl: 'CPU_HANDOFF_SIZE_THRESHOLD', webgpu: 'WEBGPU_CPU_HANDOFF_SIZE_THRESHOLD' };

const NAMES = { wasm: 'wasm', js: 'cpu', webgl: 'webgl', webgpu: 'webgpu' };

export async function load(backend, { packages, threads }) {
    const engine = new Engine(backend);
    try {
        await engine.start(new URL('@tensorflow/', new URL(packages, document.baseURI)), threads);
    } catch (error) {
        throw new Failure('unavailable', error);
    }
    return engine;
}

class Engine {
    threads = 1;
    settings = {};
    #name;
    #tf;
    #session = null;

    constructor(backend) {
        this.#name = NAMES[backend];
    }

    // Only the backend that was asked for is fetched, so there is no other backend to fall back to.
    async start(folder, threads) {
        await requireGPU(this.#name);
        for (const part of ['core', 'converter', `backend-${this.#name}`]) {
            await runScript(new URL(`tfjs-${part}/dist/tf-${part}.es2017.min.js`, folder));
        }
        const tf = (this.#tf = globalThis.tf);
        if (this.#name === 'wasm' && !tf.findBackend('wasm')) {
            tf.wasm.setWasmPaths(new URL('tfjs-backend-wasm/wasm-out/', folder).href);
            if (threads) {
                // of which TF.js takes no more than half of the logical cores, and one where the page is not isolated
                tf.wasm.setThreadsCount(threads);
            }
        }
        if (this.#name === 'webgl') {
            tf.env().set('SOFTWARE_WEBGL_ENABLED', true); // software that plays a GPU is not refused, but named
        }
        if (!(await tf.setBackend(this.#name)) || tf.getBackend() !== this.#name) {
            throw new Error(`TF.js did not start its backend ${this.#name}; it has ${tf.getBackend() ?? 'none'}`);
        }
        await tf.ready();
        this.settings = { backend: this.#name, ...(await this.#flags()) };
        this.threads = this.#name === 'wasm' ? tf.wasm.getThreadsCount() : 1;
    }

    // The flags that shape the numbers or the speed, as they are in force.
    async #flags() {
        const names = {
            wasm: ['WASM_HAS_SIMD_SUPPORT', 'WASM_HAS_MULTITHREAD_SUPPORT'],
            webgl: ['WEBGL_VERSION', 'WEBGL_RENDER_FLOAT32_ENABLED', 'WEBGL_PACK', 'WEBGL_CPU_FORWARD', SMALL.webgl],
            webgpu: ['WEBGPU_CPU_FORWARD', SMALL.webgpu],
        };
        const found = {};
        for (const name of names[this.#name] ?? []) {
            found[name] = String(await this.#tf.env().getAsync(name));
        }
        return found;
    }

    async open(url) {
        let model;
        try {
            model = await this.#tf.loadGraphModel(new URL(url, document.baseURI).href);
        } catch (error) {
            throw new Failure('model', error);
        }
        this.#session = new GraphSession(this.#tf, model);
        return this.#session;
    }

    describe() {
        const found = this.#tf.getBackend();
        if (found !== this.#name) {
            throw new Failure('unavailable', new Error(`TF.js was asked for ${this.#name} and computes on ${found}`));
        }
        const said = `tf.getBackend() is ${found}`;
        if (this.#name === 'webgl' || this.#name === 'webgpu') {
            const backend = this.#tf.backend();
            const { name, emulated } =
                this.#name === 'webgl'
                    ? describeWebGL(backend.gpgpu.gl)
                    : describeWebGPU(backend.device.adapterInfo ?? backend.adapterInfo);
            const small = this.settings[SMALL[this.#name]];
            if (this.#session?.hasRun && !this.#usedGPU()) {
                const why = `every tensor of this model has fewer than ${small} numbers, and TF.js computed all in JavaScript`;
                throw new Failure('unavailable', new Error(why));
            }
            return { proof: `${said} on ${name}; tensors below ${small} numbers may stay in JavaScript`, emulated };
        }
        const simd = this.settings.WASM_HAS_SIMD_SUPPORT === 'true' ? ' with SIMD' : '';
        return { proof: `${said}${simd}, ${this.threads} thread(s)`, emulated: '' };
    }

    // Whether TF.js has ever taken memory of the GPU.
    #usedGPU() {
        const { numBytesInGPUAllocated, numBytesAllocatedInGPU } = this.#tf.memory();
        return (numBytesInGPUAllocated ?? numBytesAllocatedInGPU) > 0;
    }

    memory() {
        const { numTensors, numBytes } = this.#tf.memory();
        return { tensors: numTensors, bytes: numBytes };
    }
}

const scripts = new Map();

// TF.js comes as scripts that add to the global `tf`; each runs once.
function runScript(url) {
    if (!scripts.has(url.href)) {
        const loaded = new Promise((resolve, reject) => {
            const script = document.createElement('script');
            script.src = url.href;
            script.onload = resolve;
            script.onerror = () => reject(new Error(`${url.href} cannot be loaded`));
            document.head.append(script);
        });
        scripts.set(url.href, loaded);
    }
    return scripts.get(url.href);
}
