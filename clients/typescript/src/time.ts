// Clocks and timers.

/** Seconds of a clock that never goes back. It may stop while the process is frozen. */
export function now(): number {
  return performance.now() / 1000;
}

/**
 * The time by two clocks.
 *
 * The monotonic one may stop while a machine is suspended or a function is frozen, the wall clock may
 * be set. The longer of the two differences counts: a lease may seem to end early, never late.
 */
export class Moment {
  readonly monotonic: number = performance.now() / 1000;
  readonly wall: number = Date.now() / 1000;

  /** Seconds from an earlier moment to this one. */
  since(earlier: Moment): number {
    return Math.max(this.monotonic - earlier.monotonic, this.wall - earlier.wall);
  }
}

/** A timer that does not keep the process. */
export function unref(timer: ReturnType<typeof setTimeout>): typeof timer {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}

const LONGEST_MS = 2 ** 31 - 1;

/** Milliseconds of a timer: never negative, nor more than a timer takes. */
export function timerMs(seconds: number): number {
  return Math.min(LONGEST_MS, Math.max(0, Math.ceil(seconds * 1000)));
}

/** Waits. Throws the signal's reason once it is aborted. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, timerMs(seconds));
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * What a promise becomes, if that is before a moment; else throws what `late` returns. Throws the
 * signal's reason once it is aborted.
 */
export function within<T>(
  promise: Promise<T>,
  until: number,
  late: () => Error,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      promise.catch(() => undefined); // its outcome is the other callers'
      reject(signal.reason);
      return;
    }
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const timer = setTimeout(() => {
      finish();
      reject(late());
    }, timerMs(until - now()));
    const onAbort = () => {
      finish();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    promise.then(
      (value) => {
        finish();
        resolve(value);
      },
      (error) => {
        finish();
        reject(error);
      },
    );
  });
}
