import fc from 'fast-check';

/**
 * The seed of every property in a run, so that the same commit passes or fails the same way each time it is tested.
 * `npm run campaign:properties` searches further, with a new seed each round; the one it prints replays its round:
 * `CHORDFS_PROPERTY_SEED=<seed> npm test -- <file>`.
 */
const DEFAULT_SEED = 20_261_124;

const seed = Number(process.env['CHORDFS_PROPERTY_SEED'] ?? DEFAULT_SEED);
if (!Number.isInteger(seed)) throw new Error('CHORDFS_PROPERTY_SEED must be a whole number');
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
