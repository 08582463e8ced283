/**
 * A machine's wall clock that may be wrong: `Date` in its node process is off by the skew in force. Monotonic time is
 * right, as on a real machine.
 */
const RealDate = globalThis.Date;
const realNow = RealDate.now;
let skewMs = 0;

const skewedNow = () => realNow.call(RealDate) + skewMs;

// From the start, because whoever is handed `Date.now` keeps the function.
RealDate.now = skewedNow;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [skewedNow()] : given, newTarget),
  apply: () => new RealDate(skewedNow()).toString(),
});

export function setClockSkew(ms) {
  skewMs = ms;
}
