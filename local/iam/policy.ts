import { z } from 'zod';

const oneOrMany = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());
const conditionValue = z
  .union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number(), z.boolean()]))])
  .transform((value) => [value].flat().map(String));

/** Strict: an element of the language that is not evaluated here must not be passed over. */
const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMany.optional(),
  NotAction: oneOrMany.optional(),
  Resource: oneOrMany.optional(),
  NotResource: oneOrMany.optional(),
  Condition: z.record(z.string(), z.record(z.string(), conditionValue)).default({}),
});
const documentSchema = z.object({
  Version: z.literal('2012-10-17'),
  Statement: z.union([statementSchema, z.array(statementSchema)]).transform((value) => [value].flat()),
});

/** One statement of an identity-based policy, lists always lists. */
export type Statement = z.infer<typeof statementSchema>;

/** @throws Error that names what this cloud cannot evaluate. */
export function parsePolicy(document: unknown): readonly Statement[] {
  const parsed = documentSchema.safeParse(document);
  if (!parsed.success) throw new Error(`a policy: ${z.prettifyError(parsed.error)}`);
  for (const { Action, NotAction, Resource, NotResource } of parsed.data.Statement) {
    if ((Action === undefined) === (NotAction === undefined)) {
      throw new Error('a policy: a statement has either Action or NotAction');
    }
    if ((Resource === undefined) === (NotResource === undefined)) {
      throw new Error('a policy: a statement has either Resource or NotResource');
    }
  }
  return parsed.data.Statement;
}
