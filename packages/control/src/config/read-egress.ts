import { classifyAddress, type EgressSettings, parseCidr } from '@sallyport/core';
import type { EgressProxyDocument } from './document.ts';
import { quote } from './problem.ts';
import { type Reading, readReference, readSection, refuseInlineSecrets } from './reading.ts';
import { EGRESS } from './schema.ts';

export function readEgress(value: unknown, reading: Reading): EgressSettings {
  const section = readSection(EGRESS, withoutInlineSecrets(value, reading), ['egress'], reading) ?? {};
  const { findings } = reading;
  const networks = (section.networks ?? []).flatMap((text, index) => {
    const path = ['egress', 'networks', index];
    const block = parseCidr(text);
    if (block === null) {
      findings.problem(path, 'a CIDR block such as 10.0.0.0/8, or an IP address', quote(text));
      return [];
    }
    if (block.prefix === 0 || classifyAddress(block.address) === 'special') {
      findings.warn(
        path,
        'names may resolve to link-local, reserved or metadata addresses of this block',
        'name only the networks your servers are in',
      );
    }
    return [`${block.address}/${block.prefix}`];
  });
  return { hosts: (section.hosts ?? []).map((host) => host.toLowerCase()), networks, proxy: readProxy(section.proxy, reading) };
}

function withoutInlineSecrets(value: unknown, reading: Reading): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'proxy')) return value;
  return { ...value, proxy: refuseInlineSecrets(Reflect.get(value, 'proxy'), ['credential'], ['egress', 'proxy'], reading) };
}

function readProxy(proxy: EgressProxyDocument | undefined, reading: Reading): EgressSettings['proxy'] {
  if (proxy === undefined) return null;
  const url = URL.parse(proxy.url);
  const path = ['egress', 'proxy', 'url'];
  if (url === null || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    reading.findings.problem(path, 'a URL of scheme, host and port alone', quote(proxy.url), 'such as http://proxy.example.com:3128');
    return null;
  }
  if (url.username !== '' || url.password !== '') {
    reading.findings.problem(path, 'a URL without credentials', 'a URL with credentials', 'write credential: env:NAME');
    return null;
  }
  return { url: url.origin, credential: readReference(proxy.credential, reading), except: proxy.except ?? [] };
}
