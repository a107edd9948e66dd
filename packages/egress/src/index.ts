export * from './answer.ts';
export * from './destinations.ts';
export * from './egress.ts';
export * from './refusal.ts';
