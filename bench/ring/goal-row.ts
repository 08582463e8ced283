/** One line of the table of goals: what was to beat, what was aimed at, what came out. */
export interface GoalRow {
  readonly metric: string;
  readonly toBeat: string;
  readonly goal: string;
  readonly ours: string;
  readonly isMet: boolean;
}

export function cellsOf({ metric, toBeat, goal, ours, isMet }: GoalRow): readonly string[] {
  return [metric, toBeat, goal, ours, isMet ? 'yes' : '**no**'];
}

export const GOAL_HEADS = ['metric', 'to beat', 'goal', 'ours', 'met'] as const;
