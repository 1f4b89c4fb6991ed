// What replay.mjs (Node) and replay.html (a page) share: the rule of golden.json, and TF.js. A plain script that sets
// the global `golden`, because a page that was opened as a file may load no modules.
'use strict';

globalThis.golden = (() => {
    const ARRAYS = {
        bool: Uint8Array,
        uint8: Uint8Array,
        int8: Int8Array,
        int32: Int32Array,
        int64: BigInt64Array,
        float32: Float32Array,
        float64: Float64Array,
    };

    const product = (shape) => shape.reduce((all, size) => all * size, 1);

    // The numbers of one tensor, as an array for each sample. Both the files and JavaScript are little-endian.
    async function readSamples({ file, dtype, shape: [count, ...shape] }, read) {
        const numbers = new ARRAYS[dtype](await read(`golden/${file}`));
        const size = product(shape);
        return Array.from({ length: count }, (_, i) => numbers.subarray(i * size, (i + 1) * size));
    }

    // The same numbers `times` times in a row: what a model takes that has a fixed batch.
    function repeated(numbers, times) {
        const all = new numbers.constructor(numbers.length * times);
        for (let at = 0; at < times; at++) {
            all.set(numbers, at * numbers.length);
        }
        return all;
    }

    // How far an output is from the expected one, by the rule in golden.json.
    function distance(got, want, compare) {
        let sum = 0;
        for (let k = 0; k < want.length; k++) {
            const [a, b] = [Number(got[k]), Number(want[k])];
            if (!Number.isFinite(a) || (compare === 'log' && b < 1e-30 && a >= 1e-20)) {
                return Infinity;
            }
            const difference = compare !== 'log' ? a - b : b < 1e-30 ? 0 : Math.log(a) - Math.log(b);
            sum += difference * difference;
        }
        return Number.isNaN(sum) ? Infinity : Math.sqrt(sum);
    }

    function median(numbers) {
        const sorted = [...numbers].sort((a, b) => a - b);
        const middle = Math.floor(sorted.length / 2);
        return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    // Run all samples of an artifact and judge them. `read` gives the ArrayBuffer of a file by its path in the bundle;
    // `run` takes [{ name, dtype, shape, data }] and gives [{ shape, data }], in the order of the artifact's outputs.
    // The result: { passed, why, samples: [{ passed, ratio, outputs }] }, where ratio is e / noise.
    async function replay(index, artifact, read, run) {
        const copies = artifact.batch ?? 1;
        const inputs = await Promise.all(artifact.inputs.map((tensor) => readSamples(tensor, read)));
        const wanted = await Promise.all(artifact.outputs.map((tensor) => readSamples(tensor, read)));
        const ratios = wanted.map(() => []);
        const samples = [];
        for (let i = 0; i < index.samples.length; i++) {
            const feeds = artifact.inputs.map(({ name, dtype, shape }, k) => {
                return { name, dtype, shape: [copies, ...shape.slice(1)], data: repeated(inputs[k][i], copies) };
            });
            const outputs = await run(feeds);
            const sample = { passed: true, ratio: 0, outputs: outputs.map(({ data }) => data) };
            for (const [k, { name, compare, noise, allowed }] of index.outputs.entries()) {
                const shape = [copies, ...artifact.outputs[k].shape.slice(1)];
                if (String(outputs[k].shape) !== String(shape)) {
                    const why = `${name} has shape ${outputs[k].shape}, and ${shape} was expected`;
                    return { passed: false, why, samples };
                }
                const e = distance(outputs[k].data, wanted[k][i], compare);
                const ratio = e === 0 ? 0 : e / noise[i];
                ratios[k].push(ratio);
                sample.passed &&= e <= allowed[i];
                sample.ratio = Math.max(sample.ratio, ratio);
            }
            samples.push(sample);
        }
        const limit = index.median_limit ?? index.limit;
        const passed = samples.every((sample) => sample.passed) && ratios.every((each) => median(each) <= limit);
        const why = index.outputs.map(({ name }, k) => {
            const most = Math.max(...ratios[k]);
            return (
                `${name} ${most.toPrecision(3)} times the noise away (limit ${index.limit}), ` +
                `sample ${ratios[k].indexOf(most)}; median ${median(ratios[k]).toPrecision(3)} (limit ${limit})`
            );
        });
        return { passed, why: why.join('; '), samples };
    }

    // A TF.js graph model, as a `run`. `tf` is TF.js's core, `loadGraphModel` the converter's.
    async function openTfjs(tf, loadGraphModel, artifact, read) {
        const json = JSON.parse(new TextDecoder().decode(await read(`${artifact.path}/model.json`)));
        const model = await loadGraphModel({
            load: () =>
                tf.io.getModelArtifactsForJSON(json, async (groups) => {
                    const paths = groups.flatMap((group) => group.paths);
                    const shards = await Promise.all(paths.map((name) => read(`${artifact.path}/${name}`)));
                    return [groups.flatMap((group) => group.weights), await new Blob(shards).arrayBuffer()];
                }),
        });
        const names = artifact.outputs.map(({ name }) => name);
        return async (feeds) => {
            const inputs = Object.fromEntries(
                feeds.map(({ name, dtype, shape, data }) => [name, tf.tensor(data, shape, dtype)]),
            );
            let found;
            try {
                found = model.execute(inputs, names);
            } catch {
                found = await model.executeAsync(inputs, names); // graphs with loops, or shapes that depend on the data
            }
            const results = await Promise.all(
                [found].flat().map(async (tensor) => ({ shape: tensor.shape, data: await tensor.data() })),
            );
            tf.dispose([inputs, found]);
            return results;
        };
    }

    return { replay, distance, readSamples, openTfjs };
})();
