// One TF.js graph model on one backend: the part that a Node process and a page share.

import { Failure, Session, takes } from './engine.mjs';

const DTYPES = ['float32', 'int32', 'bool'];

// Operators that only executeAsync runs: loops, branches, and outputs whose shape depends on the data.
const ASYNC = /^(Switch|Merge|Enter|Exit|NextIteration|If|StatelessIf|While|StatelessWhile|Where|NonMaxSuppressionV\d)$/;

// What TF.js says of an operator that the backend has no kernel for; backends differ in them.
const NO_KERNEL = /Kernel '(\w+)' not registered for backend '(\w+)'/;

// Nodes that hold weights or hand a tensor on.
const PLUMBING = /^(Const|Placeholder|Identity|NoOp)$/;

// `tf` is the module @tensorflow/tfjs-core, `model` what @tensorflow/tfjs-converter's loadGraphModel gave.
export class GraphSession extends Session {
    #tf;
    #model;
    #async;
    #outputs;
    hasRun = false;

    constructor(tf, model) {
        super();
        this.#tf = tf;
        this.#model = model;
        this.#outputs = Object.keys(model.modelSignature.outputs);
        this.#async = model.artifacts.modelTopology.node.some(({ op }) => ASYNC.test(op));
    }

    // What every node that computes gives for these inputs.
    trace(feeds) {
        const nodes = this.#model.artifacts.modelTopology.node.filter(({ op }) => !PLUMBING.test(op));
        return this.run(feeds, nodes.map(({ name }) => name));
    }

    place(feeds) {
        takes(feeds, DTYPES, 'TF.js');
        const made = {};
        for (const { name, dtype, shape, data } of feeds) {
            made[name] = this.#tf.tensor(data, shape, dtype);
        }
        return made;
    }

    // By data(), the one way of waiting that every backend has: dataSync blocks the page on WebGL, and WebGPU has none.
    // Where the data are in this process already, it costs some 2 microseconds, as dataSync does.
    async compute(inputs, names = this.#outputs) {
        let run;
        try {
            run = this.#async ? await this.#model.executeAsync(inputs, names) : this.#model.execute(inputs, names);
        } catch (error) {
            throw named(error);
        }
        const tensors = [run].flat();
        const data = await Promise.all(tensors.map((tensor) => tensor.data()));
        this.hasRun = true;
        return tensors.map((tensor, i) => ({
            name: names[i],
            dtype: tensor.dtype,
            shape: tensor.shape,
            data: data[i],
            tensor,
        }));
    }

    dispose(outputs) {
        this.#tf.dispose(outputs.map(({ tensor }) => tensor));
    }

    drop(inputs) {
        this.#tf.dispose(inputs);
    }

    close() {
        this.#model.dispose();
    }
}

// The error of an operator without a kernel as what it is; any other as it came.
function named(error) {
    const [, kernel, backend] = NO_KERNEL.exec(error.message) ?? [];
    if (!kernel) {
        return error;
    }
    const words = `TF.js has no kernel ${kernel} on its backend ${backend}, and the graph needs it. Ask for another backend.`;
    return new Failure('unavailable', words);
}
