// What a session is asked by its protocol, in a Node process and in a page. A handler takes the request and the bytes
// after it, and gives {ok: value, blobs: [typed array]}. Tensors are described by {name, dtype, shape}; their data follow
// in that order, little-endian.
//
//   run     feeds + data                            -> outputs + data
//   trace   feeds + data                            -> the value of every node that computes + data
//   bind    feeds + data, on_host                   -> id; the inputs stay where the backend reads them, or on the host
//   release ids                                     -> null
//   sample  ids, seconds, at_least, at_most         -> n; then n float64, the nanoseconds of single runs

import { unpack } from './engine.mjs';

// The handlers of the session that `current()` gives, at the time of each request.
export function sessionHandlers(current) {
    return {
        async run({ feeds }, content) {
            return packed(await current().run(unpack(feeds, content)));
        },

        async trace({ feeds }, content) {
            return packed(await current().trace(unpack(feeds, content)));
        },

        async bind({ feeds, on_host }, content) {
            return { ok: await current().bind(unpack(feeds, content), on_host) };
        },

        release({ ids }) {
            ids.forEach((id) => current().release(id));
            return { ok: null };
        },

        async sample({ ids, seconds, at_least, at_most }) {
            const times = await current().sample(ids, seconds, at_least, at_most);
            return { ok: times.length, blobs: [times] };
        },
    };
}

function packed(tensors) {
    return {
        ok: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
        blobs: tensors.map(({ data }) => data),
    };
}
