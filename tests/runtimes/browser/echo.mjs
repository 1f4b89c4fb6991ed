// An engine whose model gives back what it is given, and may misbehave in loading, by its backend's name.
export async function load(backend, { packages, threads }) {
    let text = null;
    if (backend === 'hang') {
        console.error('about to loop for ever');
        for (;;) {}
    }
    if (backend === 'busy') {
        const end = performance.now() + 100;
        while (performance.now() < end) {}
    }
    if (backend === 'elsewhere') {
        await fetch('http://192.0.2.1/from-a-page').catch(() => null); // an address that is nobody's (RFC 5737)
    }
    return {
        settings: { backend, packages },
        threads: threads ?? 1,
        describe: () => ({ proof: 'trivial', emulated: '' }),
        memory: () => ({ text }),
        async open(url) {
            text = await (await fetch(url)).text();
            return { run: async (feeds) => feeds };
        },
    };
}
