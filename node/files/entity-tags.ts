const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Of the tags of a condition (RFC 9110, 13.1), those that some version could have: checksums, and `*` for any. All
 * others match nothing, however long they are, and are not sent to the owner. Undefined: there is no condition.
 */
export function possibleTags(tags: readonly string[] | undefined): string[] | undefined {
  return tags?.filter((tag) => tag === '*' || SHA256.test(tag));
}
