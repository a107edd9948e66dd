import Type from 'typebox';
import { describeRoutes } from './openapi.ts';
import { open, type Route } from './route.ts';
import { GUARD_ROUTES } from './routes-guards.ts';
import { INSTALLATION_ROUTES } from './routes-installation.ts';
import { KEY_ROUTES } from './routes-keys.ts';
import { LIMIT_ROUTES } from './routes-limits.ts';
import { POLICY_ROUTES } from './routes-policy.ts';
import { PROMPT_ROUTES } from './routes-prompts.ts';
import { RISK_ROUTES } from './routes-risk.ts';
import { USER_ROUTES } from './routes-users.ts';

/** Everything the admin plane serves. */
export function adminRoutes(version: string): readonly Route[] {
  let document: string | null = null;
  const routes: readonly Route[] = [
    ...INSTALLATION_ROUTES,
    ...KEY_ROUTES,
    ...USER_ROUTES,
    ...POLICY_ROUTES,
    ...PROMPT_ROUTES,
    ...GUARD_ROUTES,
    ...LIMIT_ROUTES,
    ...RISK_ROUTES,
    open({
      id: 'openapi',
      path: '/admin/v1/openapi.json',
      summary: 'This document.',
      reply: Type.Object({ openapi: Type.Literal('3.1.0') }),
      // Made when it is first asked for: a start should not wait for it.
      handle: async () => {
        document ??= JSON.stringify(describeRoutes(routes, version));
        return { status: 200, body: document };
      },
    }),
  ];
  return routes;
}
