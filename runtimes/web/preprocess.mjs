// The manifest's preprocessing in JavaScript: the operations of runtimes/preprocess.py, with the same numbers.
//
// An image is {height, width, channels, data}: rows of pixels, channels last, 8 bits (a Uint8Array or Uint8ClampedArray)
// until `scale` or `normalize` make it a Float32Array. Resampling is Pillow's (libImaging/Resample.c): a pass in each
// direction, each rounded to 8 bits, with weights as integers of 22 bits behind the point; so their order shows, by one
// level of grey. It is that of Pillow 13; older ones always go across the columns first. Single precision is that of NumPy:
// one operation on two float32, computed in float64 and rounded, is the float32 operation.

const MODES = { RGB: 3, BGR: 3, L: 1 };
const MAX_PIXELS = 1 << 26;
const WEIGHT_BITS = 32 - 8 - 2;
const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array };

// Pillow's filters: how far they reach in pixels of the result, and the weight at a distance.
const FILTERS = {
    box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    hamming: [1, hamming],
    bicubic: [2, bicubic],
    lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

const OPERATIONS = { color, resize, center_crop: centerCrop, scale, normalize };
const OF_PIXELS = new Set(['color', 'resize', 'center_crop']);

// The image after these operations, in order.
export function apply(image, operations) {
    return operations.reduce((made, operation) => {
        const run = OPERATIONS[operation.op];
        if (run === undefined) {
            throw new Error(`preprocessing names ${operation.op}; known are ${Object.keys(OPERATIONS).join(', ')}`);
        }
        return run(made, operation);
    }, image);
}

// The image as the input `spec` takes it, {name, dtype, shape, data} with one sample.
export function modelInput(image, spec, operations) {
    return asTensor(apply(image, completed(operations, spec)), spec);
}

// The same up to the last operation on pixels: 8 bits, to be looked at.
export function modelPixels(image, spec, operations) {
    return apply(image, completed(operations, spec).filter(({ op }) => OF_PIXELS.has(op)));
}

// The operations, beginning with the colours that the channels of `spec` call for when none are named.
export function completed(operations, spec) {
    const { C: channels } = sizes(spec);
    if (operations.some(({ op }) => op === 'color') || (channels !== 1 && channels !== 3)) {
        return operations;
    }
    return [{ op: 'color', mode: channels === 1 ? 'L' : 'RGB' }, ...operations];
}

// {H, W, C} of an image input; N is 1 where it is dynamic.
export function sizes(spec) {
    return Object.fromEntries([...spec.layout].map((axis, i) => [axis, spec.shape[i] ?? 1]));
}

function asTensor(image, spec) {
    const { height, width, channels } = image;
    const want = sizes(spec);
    if (height !== want.H || width !== want.W || channels !== want.C) {
        const [has, takes] = [[height, width, channels], [want.H, want.W, want.C]].map((hwc) => hwc.join('x'));
        throw new Error(`the image ends as ${has} (height, width, channels); the model takes ${takes}`);
    }
    const array = ARRAYS[spec.dtype];
    if (array === undefined) {
        throw new Error(`${spec.name} has the type ${spec.dtype}; images become ${Object.keys(ARRAYS).join(', ')}`);
    }
    const data = new array(image.data.length);
    const step = { H: width * channels, W: channels, C: 1, N: 0 };
    const [a, b, c, d] = [...spec.layout].map((axis) => ({ size: axis === 'N' ? 1 : want[axis], step: step[axis] }));
    let at = 0;
    for (let i = 0; i < a.size; i++) {
        for (let j = 0; j < b.size; j++) {
            for (let k = 0; k < c.size; k++) {
                for (let l = 0; l < d.size; l++) {
                    data[at++] = image.data[i * a.step + j * b.step + k * c.step + l * d.step];
                }
            }
        }
    }
    return { name: spec.name, dtype: spec.dtype, shape: [...spec.layout].map((axis) => (axis === 'N' ? 1 : want[axis])), data };
}

function color(image, { mode }) {
    const { height, width, channels, data } = image;
    const wanted = MODES[mode];
    if (wanted === 1 && channels === 3) {
        return pixelwise(image, 1, (i) => (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16);
    }
    if (wanted === 3 && channels === 1) {
        return { height, width, channels: 3, data: Uint8Array.from({ length: data.length * 3 }, (_, i) => data[(i / 3) | 0]) };
    }
    return mode === 'BGR' ? pixelwise(image, 3, (i, c) => data[i + 2 - c]) : image;
}

// An image of 8 bits whose channel c of a pixel is value(index of the pixel's first channel, c).
function pixelwise({ height, width, channels, data }, made, value) {
    const out = new Uint8Array(height * width * made);
    for (let i = 0, at = 0; i < data.length; i += channels) {
        for (let c = 0; c < made; c++) {
            out[at++] = value(i, c);
        }
    }
    return { height, width, channels: made, data: out };
}

function resize(image, operation) {
    const [height, width] = target(image, operation);
    if (height === image.height && width === image.width) {
        return image;
    }
    if (height * width > MAX_PIXELS) {
        throw new Error(`an image of ${image.height}x${image.width} would be resized to ${height}x${width}: too large`);
    }
    if (operation.filter === 'nearest') {
        return nearest(image, height, width);
    }
    const { filter } = operation;
    const rowsFirst = height < image.height && image.height - height > 2 * (image.width - width);
    return rowsFirst
        ? acrossColumns(acrossRows(image, height, filter), width, filter)
        : acrossRows(acrossColumns(image, width, filter), height, filter);
}

function target({ height, width }, { shortest, ...size }) {
    if (shortest === undefined) {
        return [size.height, size.width];
    }
    const shorter = Math.min(height, width);
    return [Math.trunc((shortest * height) / shorter), Math.trunc((shortest * width) / shorter)];
}

function nearest({ height, width, channels, data }, toHeight, toWidth) {
    const [rows, columns] = [places(height, toHeight), places(width, toWidth)];
    const out = new Uint8Array(toHeight * toWidth * channels);
    let at = 0;
    for (const row of rows) {
        for (const column of columns) {
            for (let c = 0; c < channels; c++) {
                out[at++] = data[(row * width + column) * channels + c];
            }
        }
    }
    return { height: toHeight, width: toWidth, channels, data: out };
}

// Which pixel each of the result is, summed up step by step as Pillow does (libImaging/Geometry.c).
function places(from, to) {
    const step = from / to;
    let at = step * 0.5;
    return Int32Array.from({ length: to }, () => {
        const place = Math.trunc(at);
        at += step;
        return place;
    });
}

function acrossColumns(image, toWidth, filter) {
    const { height, width, channels, data } = image;
    if (toWidth === width) {
        return image;
    }
    const windows = weights(width, toWidth, filter);
    const out = new Uint8Array(height * toWidth * channels);
    let at = 0;
    for (let row = 0; row < height; row++) {
        for (const { start, weight } of windows) {
            const first = (row * width + start) * channels;
            for (let c = 0; c < channels; c++) {
                out[at++] = weighted(data, first + c, channels, weight);
            }
        }
    }
    return { height, width: toWidth, channels, data: out };
}

function acrossRows(image, toHeight, filter) {
    const { height, width, channels, data } = image;
    if (toHeight === height) {
        return image;
    }
    const stride = width * channels;
    const out = new Uint8Array(toHeight * stride);
    let at = 0;
    for (const { start, weight } of weights(height, toHeight, filter)) {
        for (let column = 0; column < stride; column++) {
            out[at++] = weighted(data, start * stride + column, stride, weight);
        }
    }
    return { height: toHeight, width, channels, data: out };
}

function weighted(data, first, stride, weight) {
    let sum = 1 << (WEIGHT_BITS - 1);
    for (let i = 0, at = first; i < weight.length; i++, at += stride) {
        sum += data[at] * weight[i];
    }
    return Math.min(255, Math.max(0, sum >> WEIGHT_BITS));
}

// For each pixel of the result, the first of the source that counts, and the weights from there on.
function weights(from, to, filter) {
    const [reach, at] = FILTERS[filter];
    const scale = from / to;
    const stretch = Math.max(scale, 1);
    const support = reach * stretch;
    return Array.from({ length: to }, (_, i) => {
        const center = (i + 0.5) * scale;
        const start = Math.max(0, Math.trunc(center - support + 0.5));
        const end = Math.min(from, Math.trunc(center + support + 0.5));
        const exact = Array.from({ length: end - start }, (_, k) => at((k + start - center + 0.5) * (1 / stretch)));
        const sum = exact.reduce((total, weight) => total + weight, 0);
        const one = 1 << WEIGHT_BITS;
        const whole = exact.map((weight) => (sum === 0 ? weight : weight / sum) * one);
        return { start, weight: Int32Array.from(whole, (weight) => Math.trunc(weight + (weight < 0 ? -0.5 : 0.5))) };
    });
}

function hamming(distance) {
    const x = Math.abs(distance);
    if (x === 0 || x >= 1) {
        return x === 0 ? 1 : 0;
    }
    return (Math.sin(x * Math.PI) / (x * Math.PI)) * (0.54 + 0.46 * Math.cos(x * Math.PI));
}

function bicubic(distance) {
    const x = Math.abs(distance);
    const a = -0.5;
    if (x < 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function sinc(x) {
    return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function centerCrop({ height, width, channels, data }, { height: toHeight, width: toWidth }) {
    const [top, left] = [Math.floor((height - toHeight) / 2), Math.floor((width - toWidth) / 2)];
    const out = new Uint8Array(toHeight * toWidth * channels);
    const [from, until] = [Math.max(0, left), Math.min(width, left + toWidth)];
    for (let row = Math.max(0, top); row < Math.min(height, top + toHeight); row++) {
        const pixels = data.subarray((row * width + from) * channels, (row * width + until) * channels);
        out.set(pixels, ((row - top) * toWidth + from - left) * channels);
    }
    return { height: toHeight, width: toWidth, channels, data: out };
}

function scale({ data, ...size }, { factor }) {
    const by = Math.fround(factor);
    return { ...size, data: Float32Array.from(data, (value) => value * by) };
}

function normalize({ data, ...size }, { mean, std }) {
    const [means, deviations] = [mean, std].map((numbers) => [numbers].flat().map(Math.fround));
    const of = (numbers, i) => numbers[numbers.length === 1 ? 0 : i % size.channels];
    return { ...size, data: Float32Array.from(data, (value, i) => Math.fround(value - of(means, i)) / of(deviations, i)) };
}
