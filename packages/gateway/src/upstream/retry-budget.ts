/** Part of a try that every first call pays in. */
const DEPOSIT = 0.2;
const LARGEST = 10;

/** Keeps retries a fifth of the calls, with some in hand: a server in trouble is not asked many times what it could not do once. */
export class RetryBudget {
  #tokens = LARGEST;

  called(): void {
    this.#tokens = Math.min(LARGEST, this.#tokens + DEPOSIT);
  }

  /** False where no further try may be made. */
  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
