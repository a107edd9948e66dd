import type { ReplicaChannel, ReplicaChannelOptions } from './channel.ts';

/** Opens the news between replicas. The client library is loaded only here: most installations are one process. */
export async function openReplicaChannel(options: ReplicaChannelOptions): Promise<ReplicaChannel> {
  const { ReplicaChannel } = await import('./channel.ts');
  return await ReplicaChannel.open(options);
}
