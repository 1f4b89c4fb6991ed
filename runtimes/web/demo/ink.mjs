// From pen strokes to the grey image that a model takes: light ink on black, as data sets of digits have it.
//
// A stroke is a list of points {x, y} in any unit. Wherever and however large something was drawn, its ink is brought
// to the size, the place and the thickness of pen that the model knows, which `inkStyle` reads off images of its data.
// Nothing here touches a canvas: every browser makes the same image of the same strokes.

// Points on a side of each pixel, which are under the ink or not.
const GRID = 4;

// As MNIST has it, in shares of the frame's side: how long and how wide at most the ink is, how thick the pen, and over
// which length its edge goes from black to white.
const USUAL = { box: 20 / 28, width: 20 / 28, pen: 3 / 28, soft: 1 / 28 };

// The same of images {height, width, data} with light ink on black: the median of each.
//
// A line of thickness t and length l has the area t * l, and its brightness rises by 1 and falls by 1 along l: so t is
// twice the area over the total variation, however soft its edges are. They rise by 1 / n a pixel if over n pixels.
export function inkStyle(images) {
    const measured = images.map(measure).filter((found) => found !== null);
    if (measured.length === 0) {
        return USUAL;
    }
    return Object.fromEntries(Object.keys(USUAL).map((key) => [key, median(measured.map((found) => found[key]))]));
}

function measure({ height, width, data }) {
    const at = (row, column) => (row < height && column < width ? data[row * width + column] / 255 : 0);
    let [area, variation, squares] = [0, 0, 0];
    const [rows, columns] = [[], []];
    for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
            const value = at(row, column);
            const step = Math.hypot(at(row + 1, column) - value, at(row, column + 1) - value);
            area += value;
            variation += step;
            squares += step * step;
            if (value >= 0.5) {
                rows.push(row);
                columns.push(column);
            }
        }
    }
    if (rows.length === 0) {
        return null;
    }
    const side = Math.min(height, width);
    const [tall, wide] = [rows, columns].map((places) => (max(places) - min(places) + 1) / side);
    const [pen, soft] = [(2 * area) / variation, Math.max(1, variation / squares)];
    return { box: Math.max(tall, wide), width: wide, pen: pen / side, soft: soft / side };
}

const min = (numbers) => numbers.reduce((a, b) => Math.min(a, b));
const max = (numbers) => numbers.reduce((a, b) => Math.max(a, b));

function median(numbers) {
    return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

// The image {height, width, channels: 1, data} of these strokes, or null where there is no ink.
export function inkImage(strokes, { height, width }, style = USUAL) {
    const points = strokes.flat();
    if (points.length === 0) {
        return null;
    }
    const side = Math.min(height, width);
    const pen = style.pen * side;
    const move = placed(points, { height, width }, style.box * side - pen, style.width * side - pen);
    const covered = new Uint8Array(height * GRID * width * GRID);
    for (const stroke of strokes) {
        const line = stroke.map(move);
        line.forEach((point, i) => cover(covered, width * GRID, line[Math.max(0, i - 1)], point, pen / 2));
    }
    return { height, width, channels: 1, data: averaged(covered, height, width, style.soft * side) };
}

// How a point moves so that the box around all of them lies in the middle of the frame, its longer side `length`. What is
// wider than `widest` then is made narrower, as far as the writers of the data go.
function placed(points, frame, length, widest) {
    const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
    const [wide, tall] = [max(xs) - min(xs), max(ys) - min(ys)];
    const [centerX, centerY] = [(max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2];
    const scale = length / (Math.max(wide, tall) || Infinity);
    const scaleX = tall > wide ? Math.min(scale, widest / wide) : scale;
    return ({ x, y }) => ({ x: frame.width / 2 + (x - centerX) * scaleX, y: frame.height / 2 + (y - centerY) * scale });
}

// Mark the points of the grid that are no further than `radius` from the line between two points.
function cover(covered, stride, from, to, radius) {
    const reach = (low, high, limit) => [
        Math.max(0, Math.floor((low - radius) * GRID)),
        Math.min(limit - 1, Math.ceil((high + radius) * GRID)),
    ];
    const [left, right] = reach(Math.min(from.x, to.x), Math.max(from.x, to.x), stride);
    const [top, bottom] = reach(Math.min(from.y, to.y), Math.max(from.y, to.y), covered.length / stride);
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const square = dx * dx + dy * dy;
    for (let row = top; row <= bottom; row++) {
        for (let column = left; column <= right; column++) {
            const [x, y] = [(column + 0.5) / GRID - from.x, (row + 0.5) / GRID - from.y];
            const along = square === 0 ? 0 : Math.min(1, Math.max(0, (x * dx + y * dy) / square));
            if (Math.hypot(x - along * dx, y - along * dy) <= radius) {
                covered[row * stride + column] = 1;
            }
        }
    }
}

// How much of the square of side `soft` pixels around each pixel is covered, as 0 to 255.
function averaged(covered, height, width, soft) {
    const sums = integral(covered, height * GRID, width * GRID);
    const margin = Math.round(((soft - 1) / 2) * GRID);
    const edges = (count) => Array.from({ length: count }, (_, i) => [i * GRID - margin, (i + 1) * GRID + margin]
        .map((edge) => Math.min(count * GRID, Math.max(0, edge))));
    const [rows, columns] = [edges(height), edges(width)];
    const stride = width * GRID + 1;
    const all = (GRID + 2 * margin) ** 2;
    return Uint8Array.from({ length: height * width }, (_, i) => {
        const [[top, bottom], [left, right]] = [rows[Math.floor(i / width)], columns[i % width]];
        const inside = sums[bottom * stride + right] - sums[top * stride + right] - sums[bottom * stride + left] + sums[top * stride + left];
        return Math.round((255 * inside) / all);
    });
}

// sums[(row) * (width + 1) + column]: how many points above and left of there are covered.
function integral(covered, height, width) {
    const sums = new Uint32Array((height + 1) * (width + 1));
    for (let row = 0; row < height; row++) {
        let before = 0;
        for (let column = 0; column < width; column++) {
            before += covered[row * width + column];
            sums[(row + 1) * (width + 1) + column + 1] = sums[row * (width + 1) + column + 1] + before;
        }
    }
    return sums;
}
