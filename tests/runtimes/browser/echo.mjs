// An engine whose model gives back what it is given.
export async function load(backend, { packages, threads }) {
    let text = null;
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
