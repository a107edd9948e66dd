import { createSecureContext } from 'node:tls';
import { type Config, ConfigError, checkReferences, resolveSecret } from '@sallyport/control';
import type { TlsMaterial } from '@sallyport/gateway';

/** What this machine's own doors show. Throws `SecretError` where it cannot be read, `ConfigError` where TLS cannot use it. */
export function readTls(config: Config): TlsMaterial | null {
  const { tls } = config;
  if (tls === null) return null;
  const { clientAuth, minVersion } = tls;
  const material = {
    cert: resolveSecret(tls.cert).value,
    key: resolveSecret(tls.key).value,
    clientCa: tls.clientCa === null ? null : resolveSecret(tls.clientCa).value,
    clientAuth,
    minVersion,
  };
  // OpenSSL takes authorities without a certificate for none: nobody could come in, and nothing would say why.
  if (material.clientCa !== null) {
    const problems = problemsOf(config);
    if (problems.some(({ path }) => path === 'tls.clientCa')) throw new ConfigError(problems);
  }
  try {
    createSecureContext({
      cert: material.cert,
      key: material.key,
      minVersion,
      ...(material.clientCa === null ? {} : { ca: material.clientCa }),
    });
  } catch {
    // OpenSSL's own message speaks of its insides.
    const problems = problemsOf(config);
    throw new ConfigError(
      problems.length > 0 ? problems : [{ path: 'tls', expected: 'a certificate and its key, as PEM', got: 'what TLS cannot use' }],
    );
  }
  return material;
}

/** Reads what every reference leads to, so only where something is to be said of it. */
function problemsOf(config: Config): ConfigError['problems'] {
  return checkReferences(config).problems.filter(({ path }) => path.startsWith('tls.'));
}
