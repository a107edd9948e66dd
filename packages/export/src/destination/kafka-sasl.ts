import type * as Library from '@platformatic/kafka';
import { DeliveryFailed } from './destination.ts';
import { expectSuccess, type KafkaBroker, type KafkaLibrary } from './kafka-broker.ts';

/** How a broker is told who we are (SASL). */
export type KafkaCredentials =
  | { readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'OAUTHBEARER'; readonly tokens: BearerTokens };

/** Where a bearer token comes from. */
export interface BearerTokens extends AsyncDisposable {
  get(signal: AbortSignal): Promise<string>;
  /** It was not accepted. */
  drop(): void;
}

/** PBKDF2 rounds a broker may ask for. Kafka's own default is 4,096. */
const MOST_ITERATIONS = 1_000_000;
/** Of a session's life, how much we use before we open another. */
const USED = 0.8;

type Answer = Library.saslAuthenticateV2.SaslAuthenticateResponse;

/** Shows the credentials. Answers for how long the session may be used, milliseconds. @throws {DeliveryFailed} they are not accepted */
export async function authenticate(
  kafka: KafkaLibrary,
  broker: KafkaBroker,
  credentials: KafkaCredentials,
  signal: AbortSignal,
): Promise<number> {
  // Asked for before the broker is: it gives us only so long.
  const token = credentials.mechanism === 'OAUTHBEARER' ? await credentials.tokens.get(signal) : '';
  const { errorCode } = await broker.ask(kafka.saslHandshakeV1, [credentials.mechanism], signal);
  expectSuccess(kafka, errorCode);
  const version = broker.choose<[Buffer], Answer>([kafka.saslAuthenticateV2, kafka.saslAuthenticateV1]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let lifetime = 0n;
  const exchange = (_: unknown, bytes: Buffer, callback: (error: Error | null, answer?: Answer) => void): void => {
    broker
      .ask(version, [bytes], signal)
      .then((answer) => {
        // RFC 7628 section 3.2.3: whoever is refused is told why, and nothing where not.
        if (credentials.mechanism === 'OAUTHBEARER' && (answer.errorCode !== 0 || answer.authBytes.length > 0)) {
          credentials.tokens.drop();
          throw refused();
        }
        expectSuccess(kafka, answer.errorCode);
        lifetime = answer.sessionLifetimeMs;
        // What the broker sent is parsed in here, and may be anything.
        callback(null, answer);
      })
      .catch(reject);
  };
  const done = (error: Error | null): void => {
    if (error === null) resolve();
    else reject(refused(error));
  };
  // The library passes the connection through to `exchange`, which has its own, and looks at neither otherwise.
  const api = exchange as unknown as Library.saslAuthenticateV2.SASLAuthenticationAPI;
  const connection = broker as unknown as Library.Connection;
  if (credentials.mechanism === 'OAUTHBEARER') kafka.saslOAuthBearer.authenticate(api, connection, token, {}, done);
  else {
    const { mechanism, username, password } = credentials;
    const digest = mechanism === 'SCRAM-SHA-256' ? 'SHA-256' : 'SHA-512';
    if (mechanism === 'PLAIN') kafka.saslPlain.authenticate(api, connection, username, password, done);
    else kafka.saslScramSha.authenticate(api, connection, digest, username, password, bounded(kafka), done);
  }
  try {
    await promise;
  } catch (error) {
    throw error instanceof DeliveryFailed || signal.aborted ? error : refused(error);
  }
  return lifetime > 0n ? Number(lifetime) * USED : Number.POSITIVE_INFINITY;
}

function refused(cause?: unknown): DeliveryFailed {
  return new DeliveryFailed('Kafka SASL_AUTHENTICATION_FAILED', { cause });
}

/** SCRAM's functions, but for a broker that would keep us computing. */
function bounded({ saslScramSha: { defaultCrypto } }: KafkaLibrary): Library.saslScramSha.ScramCryptoModule {
  return {
    ...defaultCrypto,
    hi: async (definition, password, salt, iterations) => {
      if (!(iterations <= MOST_ITERATIONS)) throw new DeliveryFailed('Kafka asks for too many SCRAM iterations');
      return defaultCrypto.hi(definition, password, salt, iterations);
    },
  };
}
