export { type ConnectPorts, connect, receivers, type Secrets } from './destination/connect.ts';
export { BatchRefused, type Delivery, DeliveryFailed, type Destination } from './destination/destination.ts';
export { isSound, readEvent, type SoundEvent } from './event.ts';
export { Exporter, type ExporterOptions, type ExporterStatus } from './exporter.ts';
export { Exporters, type ExportersOptions } from './exporters.ts';
export { encoder, type Origin } from './format/encoder.ts';
export { type DeadLetter, ExporterFiles, type ExporterState, type Failure, StateDamaged } from './state.ts';
