import { Command } from 'commander';
import { addBom } from './models-bom.ts';
import { addScan } from './models-scan.ts';
import { addSign, addVerify } from './models-sign.ts';

export function modelsCommand(): Command {
  const models = new Command('models').description('model files: what is in them, who signed them, what they are made of');
  addScan(models);
  addSign(models);
  addVerify(models);
  addBom(models);
  return models;
}
