// The real clients and the certificate authority load much code; tests import them as `@sallyport/testkit/clients` and `/certificates`.
export * from './behaviour.ts';
export * from './clock.ts';
export * from './curl.ts';
export * from './deaf.ts';
export * from './engine.ts';
export * from './gguf.ts';
export * from './h2client.ts';
export * from './hostile.ts';
export * from './peers.ts';
export * from './process.ts';
export * from './random.ts';
export * from './rawclient.ts';
export * from './rawresponse.ts';
export * from './replies.ts';
export * from './tempdir.ts';
export * from './tinymodel.ts';
export * from './upstream.ts';
