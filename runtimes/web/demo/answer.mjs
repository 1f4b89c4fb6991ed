// What runtimes answered, in numbers and in words. Pure.

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

// Tensors that are no classes agree when they differ by less than this share of their largest number.
const SAME_NUMBERS = 1e-3;

// Whether an output {kind, shape} has one score for each class of an image.
export function isClassifier({ kind, shape }) {
    return (kind === 'logits' || kind === 'probabilities') && shape.length === 2;
}

// The numbers to show of an output: probabilities where it has scores of classes, else the numbers themselves.
export function shownValues(data, output) {
    const values = Float64Array.from(data, Number);
    if (output.kind !== 'logits' || !isClassifier(output)) {
        return values;
    }
    const largest = values.reduce((a, b) => Math.max(a, b));
    const powers = values.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
}

// The places of the `count` largest values, the largest first; equal ones in their order.
export function largest(values, count) {
    return Array.from(values, (_, i) => i)
        .sort((a, b) => values[b] - values[a] || a - b)
        .slice(0, count);
}

// The largest difference between any two of several arrays, at any place.
export function spread(arrays) {
    return arrays[0].reduce((most, _, i) => {
        const numbers = arrays.map((values) => values[i]);
        return Math.max(most, Math.max(...numbers) - Math.min(...numbers));
    }, 0);
}

// {headline, rest, aside, agree, odd}: what runtimes say together, in one short sentence and, in `rest`, who says something
// else or failed; in `aside` who cannot run here, which is no fault and counts for nothing. `answers` are {title, values,
// label}, the label of the likeliest class; `failed` and `absent` are titles; `odd` are those that differ from most.
export function conclude(answers, { failed, absent }, classifies) {
    const missing = failed.length ? `${joined(failed)} did not run.` : '';
    const aside = absent.length ? `${joined(absent)} cannot run here.` : '';
    if (answers.length === 0) {
        return { headline: '', rest: missing, aside, agree: null, odd: [] };
    }
    const { headline, others, ...found } = (classifies ? sayClasses : sayNumbers)(answers, answers.length + failed.length);
    return { headline, rest: [...others, missing].filter(Boolean).join(' '), aside, ...found };
}

function sayClasses(answers, total) {
    const labels = [...new Set(answers.map(({ label }) => label))];
    const groups = labels.map((label) => answers.filter((answer) => answer.label === label)).sort((a, b) => b.length - a.length);
    const [most, ...others] = groups;
    const agree = others.length === 0;
    const isMajority = most.length > (others[0]?.length ?? 0);
    const sentence = (group) => `${joined(group.map(({ title }) => title))} ${group.length === 1 ? 'says' : 'say'} ${group[0].label}`;
    if (!isMajority) {
        const headline = answers.length === 2 ? 'The two runtimes disagree' : 'The runtimes disagree';
        return { headline, others: groups.map((group) => `${sentence(group)}.`), agree, odd: answers.map(({ title }) => title) };
    }
    const odd = others.flat().map(({ title }) => title);
    return { headline: saying(most, total, sentence), others: others.map((group) => `${sentence(group)}.`), agree, odd };
}

function saying(most, total, sentence) {
    if (most.length === total && total > 1) {
        return `${together(total)} say ${most[0].label}`;
    }
    return most.length > 1 ? `${most.length} of ${total} runtimes say ${most[0].label}` : sentence(most);
}

function sayNumbers(answers) {
    const arrays = answers.map(({ values }) => values);
    const scale = Math.max(...arrays.map((values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0)));
    const agree = spread(arrays) <= SAME_NUMBERS * scale;
    if (answers.length === 1) {
        return { headline: `${answers[0].title} has answered`, others: [], agree, odd: [] };
    }
    const headline = agree ? `${together(answers.length)} agree` : 'The runtimes disagree';
    return { headline, others: [], agree, odd: [] };
}

// How far apart the answers are, and how far from what the source predicts in float64 where that is known. `what` are the
// numbers that are compared: "probabilities".
export function distances(arrays, reference, source, what) {
    const parts = [];
    if (arrays.length > 1) {
        const among = spread(arrays);
        parts.push(among === 0 ? 'equal to each other' : `within ${small(among)} of each other`);
    }
    if (reference && arrays.length) {
        parts.push(`within ${small(Math.max(...arrays.map((values) => spread([values, reference]))))} of ${source} in float64`);
    }
    return parts.length ? `${what} ${parts.join(' and ')}.` : '';
}

const together = (count) => (count === 2 ? 'Both runtimes' : `All ${count} runtimes`);

// "a", "a and b", "a, b and c"
export function joined(names) {
    return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

// A difference in two digits: 0, 0.012 or 2.1 × 10⁻⁷.
export function small(number) {
    if (number === 0 || number >= 1e-3) {
        return String(Number(number.toPrecision(2)));
    }
    const [digits, power] = number.toExponential(1).split('e-');
    return `${digits} × 10⁻${[...power].map((digit) => SUPERSCRIPTS[digit]).join('')}`;
}

// A probability in percent, of one decimal; nothing is rounded to certainty.
export function percent(share) {
    if (share > 0.999 && share < 1) {
        return '> 99.9 %';
    }
    return `${(100 * share).toFixed(1)} %`;
}

// A time in three digits: 0.31 ms, 12.4 ms, 1.24 s.
export function duration(milliseconds) {
    return milliseconds < 999.5
        ? `${Number(milliseconds.toPrecision(milliseconds < 1 ? 2 : 3))} ms`
        : `${(milliseconds / 1000).toFixed(2)} s`;
}

export function megabytes(bytes) {
    return (bytes / 1e6).toFixed(1);
}

export function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
