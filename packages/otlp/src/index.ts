export { type OtlpAnswer, type OtlpSignal, OtlpWire } from './wire.ts';
