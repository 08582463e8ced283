import { z } from 'zod';

/** What several resource types share in the shape of their properties: numbers that parameters turned into text. */
export const text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
export const wholeNumber = z.coerce.number().int();
export const document = z.record(z.string(), z.unknown());

/** Reads a resource's properties; unknown ones are ignored. @throws Error that names the property. */
export function read<T>(schema: z.ZodType<T>, properties: unknown): T {
  const parsed = schema.safeParse(properties);
  if (parsed.success) return parsed.data;
  throw new Error(z.prettifyError(parsed.error));
}
