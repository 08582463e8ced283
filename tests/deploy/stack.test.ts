import { describe, expect, test } from 'vitest';
import { isSettled, removalObstacle } from '../../plugins/node-bundle/stack.ts';

const stack = (status: string, isProtected = false) => ({ status, isProtected, outputs: {} });

describe('a removal that CloudFormation would refuse is refused before anybody is told of it', () => {
  test.each([
    ['UPDATE_COMPLETE', true, /protected from deletion.*--stack-name chordfs-dev/],
    ['UPDATE_IN_PROGRESS', false, /UPDATE_IN_PROGRESS. Wait/],
    ['UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS', false, /CLEANUP_IN_PROGRESS. Wait/],
  ])('%s, protected: %s', (status, isProtected, obstacle) => {
    expect(removalObstacle(stack(status, isProtected), 'chordfs-dev')).toMatch(obstacle);
  });

  test.each(['UPDATE_COMPLETE', 'UPDATE_ROLLBACK_FAILED', 'DELETE_FAILED', 'DELETE_IN_PROGRESS'])(
    '%s is none of these',
    (status) => {
      expect(removalObstacle(stack(status), 'chordfs-dev')).toBeUndefined();
    },
  );
});

describe('an announced removal is taken back only where the stage stays', () => {
  test.each([
    ['CREATE_COMPLETE', true],
    ['UPDATE_COMPLETE', true],
    ['UPDATE_ROLLBACK_COMPLETE', true],
    ['UPDATE_IN_PROGRESS', false],
    ['DELETE_IN_PROGRESS', false],
    ['DELETE_FAILED', false],
    ['DELETE_COMPLETE', false],
  ])('%s: %s', (status, stays) => {
    expect(isSettled(stack(status))).toBe(stays);
  });
});
