import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Configuration files of the C programs: the static upstream, and nginx and HAProxy as peers. */

/** A whole chat completion of about 600 bytes, as an inference server would answer. */
const REPLY = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_767_225_600,
  model: 'bench',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content:
          'The report is ready. It names the three changes of the last week, what each of them cost, and which of them the team would keep. ' +
          'Nothing in it needs a decision today; the next review is on Monday, and the figures will be brought up to date before then.',
        refusal: null,
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 480, completion_tokens: 56, total_tokens: 536 },
});

const MODSECURITY_MODULE = '/usr/lib/nginx/modules/ngx_http_modsecurity_module.so';
const CRS_SETUP = '/etc/modsecurity/crs/crs-setup.conf';
const CRS_RULES = '/usr/share/modsecurity-crs/rules';
export const MODSECURITY_FILES: readonly string[] = [MODSECURITY_MODULE, CRS_SETUP, CRS_RULES];

/** One process, nothing on disk, connections kept: nginx at its best. */
function nginx(directory: string, modules: string, http: string): string {
  return `${modules}
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  client_body_buffer_size 128k;
  client_max_body_size 64m;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  tcp_nodelay on;
  ${http}
}
`;
}

function proxy(port: number, upstreamPort: number, extra: string): string {
  return `upstream model { server 127.0.0.1:${upstreamPort}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ${extra}
    location = /health/ready { return 200; }
    location / {
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header connection "";
      proxy_buffering off;
    }
  }`;
}

export async function writeStaticUpstream(directory: string, port: number): Promise<string[]> {
  const server = `server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '${REPLY.replaceAll("'", "\\'")}'; }
  }`;
  return writeNginx(directory, nginx(directory, '', server));
}

export async function writeNginxProxy(directory: string, port: number, upstreamPort: number): Promise<string[]> {
  return writeNginx(directory, nginx(directory, '', proxy(port, upstreamPort, '')));
}

/** ModSecurity with the recommended settings for JSON bodies and the whole OWASP Core Rule Set at its default paranoia level. */
export async function writeModSecurityProxy(directory: string, port: number, upstreamPort: number): Promise<string[]> {
  const rules = join(directory, 'modsecurity.conf');
  await writeFile(
    rules,
    `SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 13107200
SecRequestBodyLimitAction Reject
SecPcreMatchLimit 100000
SecPcreMatchLimitRecursion 100000
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml
SecResponseBodyLimit 524288
SecTmpDir ${directory}
SecDataDir ${directory}
SecAuditEngine Off
Include ${CRS_SETUP}
Include ${CRS_RULES}/*.conf
`,
  );
  const modules = `load_module ${MODSECURITY_MODULE};`;
  return writeNginx(directory, nginx(directory, modules, proxy(port, upstreamPort, `modsecurity on; modsecurity_rules_file ${rules};`)));
}

export async function writeHaproxy(directory: string, port: number, upstreamPort: number): Promise<string[]> {
  const file = join(directory, 'haproxy.cfg');
  await writeFile(
    file,
    `global
  maxconn 4096
  nbthread 1
defaults
  mode http
  option http-keep-alive
  option http-no-delay
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  http-reuse always
frontend front
  bind 127.0.0.1:${port}
  http-request return status 200 if { path /health/ready }
  default_backend model
backend model
  server model 127.0.0.1:${upstreamPort} pool-max-conn -1
`,
  );
  return ['-f', file, '-db'];
}

async function writeNginx(directory: string, text: string): Promise<string[]> {
  const file = join(directory, 'nginx.conf');
  await writeFile(file, text);
  return ['-p', directory, '-c', file, '-e', join(directory, 'error.log')];
}
