// What the engines share: each of tfjs.mjs, onnxruntime.mjs and litert.mjs exports
//
//   load(backend, { packages, threads })  -> engine: imports its library from `packages`, the URL of a folder with the
//       layout of node_modules, and starts exactly this backend, or throws a Failure of the kind "unavailable"
//   engine.open(url, beside = {})         -> session: of a model.json, .onnx or .tflite; throws one of the kind "model".
//       `beside` are the URLs of the files that belong to it, by the names that it has for them
//   engine.threads, engine.settings       what is in force, by the library's own names
//   engine.describe()                     -> {proof, emulated}: what the library and the browser say about where they compute,
//       and the software that plays the GPU where there is no real one ("SwiftShader"), else ""
//
// and its sessions extend Session. A tensor outside an engine is {name, dtype, shape, data}: `dtype` by NumPy's name,
// `data` the typed array of ARRAYS. A page has one backend of a library at a time: after another load, the sessions of the
// one before are not to be used any more.

export const ARRAYS = {
    float32: Float32Array,
    float64: Float64Array,
    float16: globalThis.Float16Array ?? Uint16Array,
    int8: Int8Array,
    uint8: Uint8Array,
    int16: Int16Array,
    uint16: Uint16Array,
    int32: Int32Array,
    uint32: Uint32Array,
    int64: BigInt64Array,
    uint64: BigUint64Array,
    bool: Uint8Array,
};

// An expected failure: "unavailable" (the backend), "model" (the file) or "run".
export class Failure extends Error {
    constructor(kind, error) {
        super(error?.message ?? String(error));
        this.kind = kind;
    }
}

// One model on one backend. An engine's own session says how inputs get to where the backend reads them and back:
//
//   place(feeds)      -> inputs, or a promise of them
//   compute(inputs)   -> a promise of the outputs, with their data on the host
//   dispose(outputs), drop(inputs), close()    free what the backend holds of them, and of the model
export class Session {
    #bound = new Map();
    #nextId = 0;

    // The outputs of one run; `what` is an engine's own word for others than the model's.
    async run(feeds, what) {
        const inputs = await this.place(feeds);
        try {
            const outputs = await this.compute(inputs, what);
            this.dispose(outputs);
            return outputs.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, data }));
        } finally {
            this.drop(inputs);
        }
    }

    // Keep inputs where the backend reads them, or `onHost`; the result is their number.
    async bind(feeds, onHost = false) {
        const id = this.#nextId++;
        this.#bound.set(id, onHost ? { feeds } : { inputs: await this.place(feeds) });
        return id;
    }

    release(id) {
        const { inputs } = this.#bound.get(id);
        if (inputs) {
            this.drop(inputs);
        }
        this.#bound.delete(id);
    }

    // Nanoseconds of single runs over the bound inputs in rotation: until `seconds` have passed and `atLeast` runs
    // are timed, never more than `atMost`. A run begins where its inputs are kept, and ends when the data of every
    // output is on the host, which is the one way of waiting that every backend has.
    async sample(ids, seconds, atLeast, atMost) {
        const bound = ids.map((id) => this.#bound.get(id));
        const times = [];
        const end = performance.now() + seconds * 1e3;
        while (times.length < atMost) {
            const { feeds, inputs } = bound[times.length % bound.length];
            const begin = performance.now();
            const placed = inputs ?? (await this.place(feeds));
            const outputs = await this.compute(placed);
            const now = performance.now();
            this.dispose(outputs);
            if (!inputs) {
                this.drop(placed);
            }
            times.push((now - begin) * 1e6);
            if (now >= end && times.length >= atLeast) {
                break;
            }
        }
        return Float64Array.from(times);
    }

    dispose() {}

    drop() {}
}

// The tensors that `described` lists, one after another in the ArrayBuffer `content`; little-endian, as both sides are.
export function unpack(described, content) {
    let at = 0;
    return described.map(({ name, dtype, shape }) => {
        const array = ARRAYS[dtype];
        if (array === undefined) {
            throw new Failure('run', `${name} has the type ${dtype}, which JavaScript has no array for`);
        }
        const bytes = shape.reduce((product, size) => product * size, 1) * array.BYTES_PER_ELEMENT;
        const data = new array(content.slice(at, at + bytes));
        at += bytes;
        return { name, dtype, shape, data };
    });
}

// What is told to console.error from now on and matches `pattern`: some libraries say what went wrong nowhere else.
export function overheard(pattern) {
    const lines = [];
    const tell = console.error;
    console.error = (...words) => {
        const line = words.join(' ');
        if (pattern.test(line)) {
            lines.push(line);
        }
        tell.apply(console, words);
    };
    return lines;
}

// Refuse feeds of a type that the engine does not take.
export function takes(feeds, dtypes, library) {
    for (const { name, dtype } of feeds) {
        if (!dtypes.includes(dtype)) {
            throw new Failure('run', `${name} has the type ${dtype}; ${library} takes ${dtypes.join(', ')}`);
        }
    }
}
