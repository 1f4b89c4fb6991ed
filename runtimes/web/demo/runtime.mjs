// One runtime of the bundle on one of its backends: loaded, run and timed. No part of the page is touched here.
//
// Its `state` goes  waiting -> loading -> starting -> ready, or ends in  unavailable  (this browser or bundle lacks
// something) or  failed  (the runtime said so), with the reason in `message`.

import { modelInput, sizes } from '../preprocess.mjs';
import { duration, median, shownValues } from './answer.mjs';

const LOAD_TIMEOUT_MS = 120_000;

// A latency is the median over slices. Each is at least so long, since browsers round their clocks to 0.1 or 1 ms, and the
// page can answer a finger between two of them.
const SLICE_MS = 10;
const SLICES = 16;
const KEPT = 64;

const MISSING = {
    wasm: () => (typeof WebAssembly === 'object' ? '' : 'this browser has no WebAssembly'),
    webgl: () => (document.createElement('canvas').getContext('webgl2') ? '' : 'this browser has no WebGL 2'),
    webgpu: () => (navigator.gpu ? '' : isSecureContext ? 'this browser has no WebGPU' : 'WebGPU needs https, or localhost'),
};

// Why a backend cannot run here, as far as is known before it is tried, or "".
export const lack = ({ backend, reason }) => reason || MISSING[backend]?.() || '';

export class Runtime {
    #entry;
    #session = null;
    #times = [];

    // `entries` are those of demo.json for one runtime, one for each backend; `changed` is called when anything has.
    constructor(entries, output, downloads, changed) {
        this.entries = entries;
        this.output = output;
        this.downloads = downloads;
        this.changed = changed;
        this.#choose(entries[0]);
    }

    get title() {
        return this.#entry.title;
    }

    get backend() {
        return this.#entry.backend;
    }

    get isLive() {
        return this.state === 'ready';
    }

    get isSettled() {
        return ['ready', 'unavailable', 'failed'].includes(this.state);
    }

    get latencyMs() {
        return this.#times.length ? median(this.#times) : null;
    }

    // The backend to load next, instead of the one there is.
    choose(backend) {
        this.#session?.close?.();
        this.#choose(this.entries.find((entry) => entry.backend === backend));
        this.changed(this);
    }

    // The copy is this choice's own: what was begun for an earlier one of the same backend finds that it is over.
    #choose(entry) {
        this.#entry = { ...entry };
        this.#session = null;
        this.#times = [];
        Object.assign(this, {
            state: 'waiting', message: '', values: null, answered: 0, measured: 0, runs: 0,
            loadedBytes: 0, totalBytes: entry.bytes ?? 0, loadMs: null, firstMs: null, emulated: '', proof: '', threads: null,
        });
    }

    // Load the library and the model, and run once on black: what a runtime does only once is over then.
    async load() {
        const entry = this.#entry;
        const missing = lack(entry);
        if (missing) {
            this.#end('unavailable', missing);
            return;
        }
        this.#become('loading');
        const stop = this.downloads.watch((bytes) => {
            this.loadedBytes = this.totalBytes ? Math.min(bytes, this.totalBytes) : bytes;
            this.changed(this);
        });
        try {
            await within(LOAD_TIMEOUT_MS, this.#open(entry));
        } catch (error) {
            if (entry === this.#entry) {
                this.#end(error.kind === 'unavailable' ? 'unavailable' : 'failed', error.message ?? String(error));
            }
        } finally {
            stop();
        }
    }

    async #open(entry) {
        const begin = performance.now();
        const { load } = await import(new URL(`../${entry.module}`, import.meta.url).href);
        const packages = new URL(entry.packages, document.baseURI).href;
        const engine = await load(entry.backend, { packages, threads: crossOriginIsolated ? undefined : 1 });
        const session = await engine.open(new URL(entry.url, document.baseURI).href);
        const isOver = () => entry !== this.#entry || this.isSettled;
        try {
            if (isOver()) {
                return;
            }
            this.loadMs = performance.now() - begin;
            this.#become('starting');
            await nextFrame();
            const first = performance.now();
            await session.run([blank(entry.inputs[0])]);
            const firstMs = performance.now() - first;
            const described = await engine.describe();
            if (isOver()) {
                return;
            }
            this.#session = session;
            Object.assign(this, { ...described, firstMs, threads: engine.threads });
            this.#become('ready');
        } finally {
            if (session !== this.#session) {
                session.close?.();
            }
        }
    }

    // Answer an image {pixels, operations}; `serial` is its number.
    async answer({ pixels, operations }, serial) {
        const entry = this.#entry;
        try {
            const outputs = await this.#session.run([modelInput(pixels, entry.inputs[0], operations)]);
            const found = outputs.find(({ name }) => name === entry.outputs?.[0].name) ?? outputs[0];
            if (entry === this.#entry) {
                this.values = shownValues(found.data, this.output);
                this.answered = serial;
            }
        } catch (error) {
            if (entry === this.#entry) {
                this.#end('failed', error.message ?? String(error));
            }
        }
        this.changed(this);
    }

    // Time runs on this image, slice by slice, as long as `isWanted()`.
    async measure({ pixels, operations }, serial, isWanted) {
        const [entry, session] = [this.#entry, this.#session];
        try {
            const id = await session.bind([modelInput(pixels, entry.inputs[0], operations)]);
            try {
                await session.sample([id], SLICE_MS / 1e3, 1, 1e5);
                for (let i = 0; i < SLICES && isWanted() && entry === this.#entry; i++) {
                    const times = await session.sample([id], SLICE_MS / 1e3, 1, 1e5);
                    this.#times = [...this.#times, times.reduce((a, b) => a + b, 0) / times.length / 1e6].slice(-KEPT);
                    this.runs += times.length;
                    await nextTask();
                }
            } finally {
                session.release(id);
            }
            if (isWanted() && entry === this.#entry) {
                this.measured = serial;
            }
        } catch (error) {
            if (entry === this.#entry) {
                this.#end('failed', error.message ?? String(error));
            }
        }
        this.changed(this);
    }

    #become(state) {
        this.state = state;
        this.changed(this);
    }

    #end(state, message) {
        this.message = message;
        this.values = null;
        this.#become(state);
    }
}

// Bytes of everything that the page fetches, as files arrive.
export class Downloads {
    #bytes = 0;
    #watchers = new Set();

    constructor() {
        const observer = new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) {
                this.#bytes += entry.decodedBodySize;
            }
            this.#watchers.forEach((tell) => tell());
        });
        observer.observe({ type: 'resource', buffered: false });
    }

    // Call `tell(bytes since now)` after every file; the result ends that.
    watch(tell) {
        const before = this.#bytes;
        const told = () => tell(this.#bytes - before);
        this.#watchers.add(told);
        return () => this.#watchers.delete(told);
    }
}

function blank(spec) {
    const { H: height, W: width, C: channels } = sizes(spec);
    return modelInput({ height, width, channels, data: new Uint8Array(height * width * channels) }, spec, []);
}

function within(milliseconds, promise) {
    let timer;
    const late = new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`it did not start within ${duration(milliseconds)}`)), milliseconds);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const nextTask = () => new Promise((resolve) => setTimeout(resolve));

// After the page has shown what changed; at once enough where it is hidden.
export const nextFrame = () => Promise.race([new Promise(requestAnimationFrame), new Promise((resolve) => setTimeout(resolve, 100))]);
