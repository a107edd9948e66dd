/** Tokens of one exchange, as the upstream counted them (`exact`) or as Sallyport estimated them. */
export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly cached: number;
  readonly exact: boolean;
}
