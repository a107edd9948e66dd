import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { publicDescription } from '../src/reply/description.ts';

describe('a model description', () => {
  it('says what the model is and not where it lies or what it was made from', () => {
    const shown = publicDescription(
      Buffer.from(
        JSON.stringify({
          modelfile: 'FROM /root/.ollama/models/blobs/sha256-1\n# FROM internal-llama:latest',
          parameters: 'stop "x"',
          template: '{{ .Prompt }}',
          details: {
            parent_model: '/srv/models/internal.gguf',
            format: 'gguf',
            family: 'llama',
            families: ['llama'],
            parameter_size: '3B',
            quantization_level: 'Q4',
          },
          model_info: { 'general.architecture': 'llama' },
          capabilities: ['completion'],
          remote_host: 'http://10.0.0.1:11434',
          path: '/srv',
          constructor: 'x',
        }),
      ),
    ).toString();
    for (const secret of ['/root', 'internal', '/srv', '10.0.0.1']) assert.ok(!shown.includes(secret), secret);
    assert.deepEqual(JSON.parse(shown), {
      modelfile: '',
      parameters: 'stop "x"',
      template: '{{ .Prompt }}',
      capabilities: ['completion'],
      model_info: { 'general.architecture': 'llama' },
      details: { parent_model: '', format: 'gguf', family: 'llama', families: ['llama'], parameter_size: '3B', quantization_level: 'Q4' },
    });
  });

  it('leaves to its reader what is no description', () => {
    for (const body of ['', '[]', '{', '"x"', 'null']) assert.equal(publicDescription(Buffer.from(body)).toString(), body);
    assert.deepEqual(JSON.parse(publicDescription(Buffer.from('{"details":7}')).toString()), {
      modelfile: '',
      details: { parent_model: '' },
    });
  });
});
