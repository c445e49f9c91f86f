// What the stories of this folder have in common: whom they are told to, and how they end badly.

export const origin = process.argv[2];

export function fail(text) {
  console.error(text);
  process.exit(1);
}

export function mustEndWithin(ms) {
  setTimeout(() => fail("not done in time"), ms).unref();
}
