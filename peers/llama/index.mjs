export { getLlama } from 'node-llama-cpp';
