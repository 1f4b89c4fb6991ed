// One TF.js graph model on one backend: the part that a Node process and a page share.
//
// `tf` is the module @tensorflow/tfjs-core, `model` what @tensorflow/tfjs-converter's loadGraphModel gave. A tensor
// outside TF.js is {name, dtype, shape, data}, with `data` a Float32Array, an Int32Array or, for bool, a Uint8Array.

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

// Operators that only executeAsync runs: loops, branches, and outputs whose shape depends on the data.
const ASYNC = /^(Switch|Merge|Enter|Exit|NextIteration|If|StatelessIf|While|StatelessWhile|Where|NonMaxSuppressionV\d)$/;

// Nodes that hold weights or hand a tensor on.
const PLUMBING = /^(Const|Placeholder|Identity|NoOp)$/;

export class GraphSession {
    #tf;
    #model;
    #async;
    #outputs;
    #bound = new Map();
    #nextId = 0;

    constructor(tf, model) {
        this.#tf = tf;
        this.#model = model;
        this.#outputs = Object.keys(model.modelSignature.outputs);
        this.#async = model.artifacts.modelTopology.node.some(({ op }) => ASYNC.test(op));
    }

    // The outputs of one run, with their data on the host.
    run(feeds) {
        return this.#values(feeds, this.#outputs);
    }

    // The same of every node that computes.
    trace(feeds) {
        const nodes = this.#model.artifacts.modelTopology.node.filter(({ op }) => !PLUMBING.test(op));
        return this.#values(feeds, nodes.map(({ name }) => name));
    }

    async #values(feeds, names) {
        const inputs = this.#tensors(feeds);
        try {
            const results = await this.#execute(inputs, names);
            try {
                return await Promise.all(
                    results.map(async (tensor, i) => ({
                        name: names[i],
                        dtype: tensor.dtype,
                        shape: tensor.shape,
                        data: await tensor.data(),
                    })),
                );
            } finally {
                this.#tf.dispose(results);
            }
        } finally {
            this.#tf.dispose(inputs);
        }
    }

    // Keep inputs where the backend reads them; the result is their number.
    bind(feeds) {
        this.#bound.set(this.#nextId, this.#tensors(feeds));
        return this.#nextId++;
    }

    release(id) {
        this.#tf.dispose(this.#bound.get(id));
        this.#bound.delete(id);
    }

    // Nanoseconds of single runs over the bound inputs in rotation: until `seconds` have passed and `atLeast` runs
    // are timed, never more than `atMost`. A run ends when the data of every output is on the host, by data():
    // the one way of waiting that every backend has (dataSync blocks the page on WebGL, and WebGPU has none). Where
    // the data are in this process already, it costs some 2 microseconds, as dataSync does.
    async sample(ids, seconds, atLeast, atMost) {
        const inputs = ids.map((id) => this.#bound.get(id));
        const times = [];
        const end = performance.now() + seconds * 1e3;
        while (times.length < atMost) {
            const feeds = inputs[times.length % inputs.length];
            const begin = performance.now();
            const results = this.#async ? await this.#execute(feeds) : this.#execute(feeds);
            for (const tensor of results) {
                await tensor.data();
            }
            const now = performance.now();
            this.#tf.dispose(results);
            times.push((now - begin) * 1e6);
            if (now >= end && times.length >= atLeast) {
                break;
            }
        }
        return Float64Array.from(times);
    }

    // The tensors of these names, or a promise of them where the graph cannot be run otherwise.
    #execute(inputs, names = this.#outputs) {
        if (this.#async) {
            return this.#model.executeAsync(inputs, names).then((results) => [results].flat());
        }
        return [this.#model.execute(inputs, names)].flat();
    }

    #tensors(feeds) {
        const made = {};
        for (const { name, dtype, shape, data } of feeds) {
            made[name] = this.#tf.tensor(data, shape, dtype);
        }
        return made;
    }
}

// The tensors that `described` lists, one after another in the ArrayBuffer `content`; little-endian, as both sides are.
export function unpack(described, content) {
    let at = 0;
    return described.map(({ name, dtype, shape }) => {
        const array = ARRAYS[dtype];
        if (array === undefined) {
            throw new Error(`${name} has the type ${dtype}; TF.js takes ${Object.keys(ARRAYS).join(', ')}`);
        }
        const bytes = shape.reduce((product, size) => product * size, 1) * array.BYTES_PER_ELEMENT;
        const data = new array(content.slice(at, at + bytes));
        at += bytes;
        return { name, dtype, shape, data };
    });
}
