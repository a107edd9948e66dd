import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import type { Family, Series } from './instrument.ts';
import { single } from './process.ts';

/** Linux counts processor time in hundredths of a second (USER_HZ, proc(5)). */
const TICKS = 100;
/** Columns of `/proc/stat` (proc(5)); guest time is in user time already. */
const CPU_MODES = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'];
/** Network devices told apart; the virtual ones of a container host can be thousands. */
const MAX_DEVICES = 16;

/** The machine, or what a container sees of it. What a system does not tell is left out. `volumes`: directory by what lies there. */
export async function hostFamilies(volumes: ReadonlyMap<string, string>): Promise<readonly Family[]> {
  const [stat, memory, network, disks] = await Promise.all([
    readProc('/proc/stat'),
    readProc('/proc/meminfo'),
    readProc('/proc/net/dev'),
    Promise.all([...volumes].map(([volume, directory]) => diskOf(volume, directory))),
  ]);
  const devices = networkDevices(network);
  const known = disks.filter((disk) => disk !== null);
  return [
    single('gauge', 'sallyport_host_cpus', 'Processors this process may use.', availableParallelism()),
    single('gauge', 'sallyport_host_load1', 'Load average over one minute.', loadavg()[0] ?? 0),
    { name: 'sallyport_host_cpu_seconds', help: 'Processor time of the machine.', type: 'counter', series: cpuModes(stat) },
    single('gauge', 'sallyport_host_memory_total_bytes', 'Memory of the machine.', totalmem()),
    single('gauge', 'sallyport_host_memory_available_bytes', 'Memory that programs can still have.', availableMemory(memory) ?? freemem()),
    {
      name: 'sallyport_host_network_receive_bytes',
      help: 'Bytes received.',
      type: 'counter',
      series: devices.map(({ device, received }) => ({ labels: { device }, value: received })),
    },
    {
      name: 'sallyport_host_network_transmit_bytes',
      help: 'Bytes sent.',
      type: 'counter',
      series: devices.map(({ device, sent }) => ({ labels: { device }, value: sent })),
    },
    {
      name: 'sallyport_disk_size_bytes',
      help: 'Size of the file system that holds the volume.',
      type: 'gauge',
      series: known.map(({ volume, size }) => ({ labels: { volume }, value: size })),
    },
    {
      name: 'sallyport_disk_free_bytes',
      help: 'What is free for this account on the file system that holds the volume.',
      type: 'gauge',
      series: known.map(({ volume, free }) => ({ labels: { volume }, value: free })),
    },
  ];
}

async function readProc(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1');
  } catch {
    return '';
  }
}

async function diskOf(volume: string, directory: string): Promise<{ volume: string; size: number; free: number } | null> {
  try {
    const { bsize, blocks, bavail } = await statfs(directory);
    return { volume, size: blocks * bsize, free: bavail * bsize };
  } catch {
    return null;
  }
}

function cpuModes(stat: string): readonly Series[] {
  const ticks = /^cpu +([0-9 ]+)$/m.exec(stat)?.[1]?.split(' ') ?? [];
  return CPU_MODES.flatMap((mode, index) => {
    const value = Number(ticks[index]);
    return Number.isFinite(value) ? [{ labels: { mode }, value: value / TICKS }] : [];
  });
}

function availableMemory(meminfo: string): number | null {
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

function networkDevices(dev: string): readonly { readonly device: string; readonly received: number; readonly sent: number }[] {
  return dev
    .split('\n')
    .flatMap((line) => {
      const [, device, numbers] = /^\s*([\w.@-]{1,32}):\s*([0-9 ]+)$/.exec(line) ?? [];
      if (device === undefined || numbers === undefined || device === 'lo') return [];
      const columns = numbers.trim().split(/ +/).map(Number);
      return [{ device, received: columns[0] ?? 0, sent: columns[8] ?? 0 }];
    })
    .slice(0, MAX_DEVICES);
}
