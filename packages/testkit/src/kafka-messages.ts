/*
 * The protocol's published message descriptions (apache/kafka, clients/src/main/resources/common/message/*.json, versions up to 4.x;
 * flexible versions: KIP-482), as far as the exporter uses them.
 */

export type Type = 'int16' | 'int32' | 'int64' | 'bool' | 'string' | 'bytes' | '[]int32' | '[]string' | readonly Field[];
export interface Field {
  readonly name: string;
  readonly type: Type;
  /** First version that has it. */
  readonly from?: number;
}
export interface Message {
  readonly key: number;
  /** First flexible version. */
  readonly flexible: number;
  readonly request: readonly Field[];
  readonly response: readonly Field[];
}

const field = (name: string, type: Type, from = 0): Field => ({ name, type, from });

export const PRODUCE: Message = {
  key: 0,
  flexible: 9,
  request: [
    field('transactionalId', 'string', 3),
    field('acks', 'int16'),
    field('timeoutMs', 'int32'),
    field('topics', [field('name', 'string'), field('partitions', [field('index', 'int32'), field('records', 'bytes')])]),
  ],
  response: [
    field('responses', [
      field('name', 'string'),
      field('partitions', [
        field('index', 'int32'),
        field('errorCode', 'int16'),
        field('baseOffset', 'int64'),
        field('logAppendTimeMs', 'int64', 2),
        field('logStartOffset', 'int64', 5),
        field('recordErrors', [field('batchIndex', 'int32'), field('batchIndexErrorMessage', 'string')], 8),
        field('errorMessage', 'string', 8),
      ]),
    ]),
    field('throttleTimeMs', 'int32', 1),
  ],
};
export const METADATA: Message = {
  key: 3,
  flexible: 9,
  request: [
    field('topics', [field('name', 'string')]),
    field('allowAutoTopicCreation', 'bool', 4),
    field('includeClusterAuthorizedOperations', 'bool', 8),
    field('includeTopicAuthorizedOperations', 'bool', 8),
  ],
  response: [
    field('throttleTimeMs', 'int32', 3),
    field('brokers', [field('nodeId', 'int32'), field('host', 'string'), field('port', 'int32'), field('rack', 'string', 1)]),
    field('clusterId', 'string', 2),
    field('controllerId', 'int32', 1),
    field('topics', [
      field('errorCode', 'int16'),
      field('name', 'string'),
      field('isInternal', 'bool', 1),
      field('partitions', [
        field('errorCode', 'int16'),
        field('partitionIndex', 'int32'),
        field('leaderId', 'int32'),
        field('leaderEpoch', 'int32', 7),
        field('replicaNodes', '[]int32'),
        field('isrNodes', '[]int32'),
        field('offlineReplicas', '[]int32', 5),
      ]),
      field('topicAuthorizedOperations', 'int32', 8),
    ]),
    field('clusterAuthorizedOperations', 'int32', 8),
  ],
};
export const SASL_HANDSHAKE: Message = {
  key: 17,
  flexible: 99,
  request: [field('mechanism', 'string')],
  response: [field('errorCode', 'int16'), field('mechanisms', '[]string')],
};
export const API_VERSIONS: Message = {
  key: 18,
  flexible: 3,
  request: [field('clientSoftwareName', 'string', 3), field('clientSoftwareVersion', 'string', 3)],
  response: [
    field('errorCode', 'int16'),
    field('apiKeys', [field('apiKey', 'int16'), field('minVersion', 'int16'), field('maxVersion', 'int16')]),
    field('throttleTimeMs', 'int32', 1),
  ],
};
export const INIT_PRODUCER_ID: Message = {
  key: 22,
  flexible: 2,
  request: [
    field('transactionalId', 'string'),
    field('transactionTimeoutMs', 'int32'),
    field('producerId', 'int64', 3),
    field('producerEpoch', 'int16', 3),
  ],
  response: [field('throttleTimeMs', 'int32'), field('errorCode', 'int16'), field('producerId', 'int64'), field('producerEpoch', 'int16')],
};
export const SASL_AUTHENTICATE: Message = {
  key: 36,
  flexible: 2,
  request: [field('authBytes', 'bytes')],
  response: [
    field('errorCode', 'int16'),
    field('errorMessage', 'string'),
    field('authBytes', 'bytes'),
    field('sessionLifetimeMs', 'int64', 1),
  ],
};
export const MESSAGES: readonly Message[] = [PRODUCE, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE];
