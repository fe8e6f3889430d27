// Sends requests; those that early.ts has sent already are taken from it.

const TIMEOUT_MS = 15_000;
/** What was asked longer ago than this, since the page began, is asked again. */
const EARLY_MS = 10_000;

/** By path. */
export type Early = Map<string, Promise<Response>>;

const shared = globalThis as {musterEarly?: Early};

export function send(path: string): Promise<Response> {
  return fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS)});
}

export function sendEarly(paths: readonly string[]): void {
  shared.musterEarly = new Map(paths.map((path) => [path, send(path)]));
  // Whoever takes it will tell; what nobody takes need not be told.
  for (const answer of shared.musterEarly.values()) answer.catch(() => undefined);
}

/** The answer to what was sent early, once, or to a new request. */
export function ask(path: string): Promise<Response> {
  const early = performance.now() < EARLY_MS ? shared.musterEarly?.get(path) : undefined;
  shared.musterEarly?.delete(path);
  return early ?? send(path);
}
