export type * from './endpoint.ts';
export { DEFAULT_REQUEST_LIMITS } from './endpoint.ts';
export { ENDPOINTS, type EndpointMatch, findEndpoint } from './endpoints.ts';
export { errorType, renderFault } from './fault.ts';
export type * from './json/document.ts';
export { parseJson } from './json/parse.ts';
export { formatPath, type JsonPath } from './json/path.ts';
export { type ComposedReply, contentFilterReply, REFUSAL } from './refusal.ts';
export { composeModel, composeModels, composePs, composeTags, composeVersion } from './reply/compose.ts';
export {
  type EncodableRanking,
  type EncodableReply,
  type EncodableVectors,
  type EncodedReply,
  encodeRanking,
  encodeReply,
  encodeTokenCount,
  encodeVectors,
  type FinishReason,
} from './reply/encode.ts';
export type * from './reply/format.ts';
export { REPLY_FORMATS } from './reply/formats.ts';
export { instruct, takesInstructions } from './request/instruct.ts';
export { type RequestedFormat, requestedFormat } from './request/requested-format.ts';
export { FIELD_ROWS as RESTRICTED_FIELDS } from './request/restricted-fields.ts';
export type { FieldRow } from './request/restricted-row.ts';
export { readExact } from './translate/exact.ts';
export { findTranslation } from './translate/find.ts';
export { composeShow } from './translate/show.ts';
export type * from './translate/translation.ts';
