// An engine of the interface of runtimes/web/engine.mjs whose answers a test can foretell: a class for each of ten bands of
// rows, with the band's mean as its score. Its model files are JSON: {"shift": n} moves the answer by n classes, {"breaks":
// "why"} fails in the first run, {"waits": true} does not end its first run before `goOn()`.

export async function load(backend) {
    if (backend === 'webgl') {
        throw Object.assign(new Error('the browser gives no context'), { kind: 'unavailable' });
    }
    return { threads: 1, settings: {}, describe: () => ({ proof: `on ${backend}`, emulated: '' }), open };
}

async function open(url) {
    return new Session(await (await fetch(url)).json());
}

class Session {
    constructor(model) {
        this.model = model;
    }

    async run([{ shape, data }]) {
        const { shift = 0, breaks, waits } = this.model;
        if (breaks) {
            throw new Error(breaks);
        }
        if (waits) {
            await new Promise((resolve) => Object.assign(globalThis, { goOn: resolve }));
            this.model.waits = false;
        }
        const [height, width] = shape.slice(2);
        const scores = new Float32Array(10);
        data.forEach((value, i) => {
            scores[(Math.floor((10 * Math.floor(i / width)) / height) + shift) % 10] += value / width;
        });
        return [{ name: 'scores', dtype: 'float32', shape: [1, 10], data: scores }];
    }

    async bind(feeds) {
        return feeds;
    }

    // As few runs as are asked for, however short: tests have no time to lose.
    async sample([feeds], seconds, atLeast) {
        const times = new Float64Array(atLeast);
        for (let i = 0; i < atLeast; i++) {
            const begin = performance.now();
            await this.run(feeds);
            times[i] = (performance.now() - begin) * 1e6;
        }
        return times;
    }

    release() {}

    close() {}
}
