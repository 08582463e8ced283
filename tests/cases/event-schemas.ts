import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import type { Event, EventTypeDefinition, PropertyType, SpecDatabase } from '@aws-cdk/service-spec-types';

/** AWS's own schemas of the events that its services emit, as the CDK ships them. */
interface EventShape {
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: unknown;
}

/** Real events that the schemas do not have. */
export const NOT_IN_THE_SCHEMAS: Readonly<Record<string, string>> = {
  'EC2 Instance Rebalance Recommendation': 'documented in the EC2 user guide only',
  'EC2 Auto Scaling Instance Refresh': 'documented in the Auto Scaling user guide only',
  'Scheduled Event': 'made by a rule, not by a service; it has no detail',
};

/**
 * The schemas are inferred from samples, so they call required whatever their samples happened to have. These are
 * left out by AWS itself, says its documentation.
 */
const REALLY_OPTIONAL: readonly string[] = [
  'NotificationMetadata', // Only when the hook has some.
  'reasonData', // Not before the first evaluation of an alarm.
];

type Fields = Readonly<Record<string, unknown>>;

/** Compares events and event patterns with the schemas. */
export class EventSchemas {
  readonly #db: SpecDatabase;

  constructor() {
    this.#db = loadAwsServiceSpecSync();
  }

  /** What is wrong with an event; undefined when its type is not in the schemas. */
  complaintsAbout({ source, 'detail-type': detailType, detail }: EventShape): string[] | undefined {
    const event = this.#find(source, detailType);
    if (event === undefined) return undefined;
    return this.#compare(this.#root(event), detail, `${detailType}: detail`);
  }

  /** Fields that a rule's pattern looks at and that events of its types do not have; undefined as above. */
  complaintsAboutPattern(pattern: Fields): string[] | undefined {
    const sources = (pattern['source'] ?? []) as readonly string[];
    const detailTypes = ((pattern['detail-type'] ?? []) as readonly unknown[]).filter(
      (detailType): detailType is string => typeof detailType === 'string',
    );
    const known = sources.flatMap((source) => detailTypes.flatMap((type) => this.#find(source, type) ?? []));
    if (known.length === 0) return undefined;
    return known.flatMap((event) =>
      this.#missing(this.#root(event), pattern['detail'] ?? {}, `${event.detailType}: detail`),
    );
  }

  #find(source: string, detailType: string): Event | undefined {
    return [...this.#db.all('event')].find(
      (event) => event.source === source && event.detailType === detailType,
    );
  }

  #compare(type: EventTypeDefinition, value: unknown, path: string): string[] {
    if (typeof value !== 'object' || value === null) return [`${path} is no object`];
    const fields = value as Fields;
    const unknown = Object.keys(fields).filter((name) => !Object.hasOwn(type.properties, name));
    return unknown
      .map((name) => `${path}.${name} is not in the schema`)
      .concat(
        Object.entries(type.properties).flatMap(([name, property]) => {
          const isOptional = property.required !== true || REALLY_OPTIONAL.includes(name);
          if (fields[name] === undefined) return isOptional ? [] : [`${path}.${name} is missing`];
          return this.#compareValue(property.type, fields[name], `${path}.${name}`);
        }),
      );
  }

  #compareValue(type: PropertyType, value: unknown, path: string): string[] {
    switch (type.type) {
      case 'ref':
        return this.#compare(this.#definition(type), value, path);
      case 'array':
        if (!Array.isArray(value)) return [`${path} is no list`];
        return value.flatMap((item, i) => this.#compareValue(type.element, item, `${path}[${i}]`));
      case 'json':
      case 'map':
        return typeof value === 'object' ? [] : [`${path} is no object`];
      case 'string':
      case 'number':
      case 'boolean':
        return typeof value === type.type ? [] : [`${path} is a ${typeof value}, not a ${type.type}`];
      default:
        return [];
    }
  }

  #missing(type: EventTypeDefinition, pattern: unknown, path: string): string[] {
    return Object.entries(pattern as Fields).flatMap(([name, test]) => {
      const property = type.properties[name];
      if (property === undefined) return [`${path}.${name} is not in the schema`];
      const isNested = !Array.isArray(test) && property.type.type === 'ref';
      return isNested && property.type.type === 'ref'
        ? this.#missing(this.#definition(property.type), test, `${path}.${name}`)
        : [];
    });
  }

  #root({ rootProperty }: Event): EventTypeDefinition {
    return this.#db.get('eventTypeDefinition', rootProperty.$ref);
  }

  #definition(type: Extract<PropertyType, { type: 'ref' }>): EventTypeDefinition {
    return this.#db.get('eventTypeDefinition', type.reference.$ref);
  }
}
