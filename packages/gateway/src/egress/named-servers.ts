import type { Snapshot } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';

/** Tells the way out which servers a snapshot names: nothing else is reached. */
export function nameServers(egress: Egress, { egress: settings, upstreams, issuers, guard }: Snapshot): void {
  egress.configure(settings);
  egress.name(
    'upstreams',
    [...upstreams.values()].map(({ url }) => ({ url, private: true })),
  );
  egress.name('classifier', guard.classifier === undefined ? [] : [{ url: guard.classifier.url, private: true }]);
  egress.name(
    'issuers',
    issuers.map(({ jwksUri }) => ({ url: jwksUri, private: false })),
  );
}
