// Which GPUs this machine has, by what Linux says of its devices: cheap, and without loading any driver.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What was found. */
export interface GpuHardware {
  /** A GPU that CUDA may run on. */
  readonly nvidia: boolean;
  /** Any GPU that is no software. */
  readonly any: boolean;
  /** For a log: `nvidia`, `i915 (renderD128)`. */
  readonly found: readonly string[];
}

/** Kernel drivers with a render node and no GPU of their own behind it. */
const virtualDrivers = new Set(['vgem', 'vkms', 'virtio_gpu', 'virtio-pci', 'vmwgfx']);
const nvidiaVendor = '0x10de';

/**
 * Looks for GPUs: render nodes in `/sys/class/drm`, NVIDIA's own devices in `/dev`, as a container sees them, and WSL's.
 * Elsewhere than on Linux nothing can be told so cheaply, and everything is possible.
 */
export async function findGpus(root = '/', platform: NodeJS.Platform = process.platform): Promise<GpuHardware> {
  if (platform !== 'linux') return { nvidia: platform === 'win32', any: true, found: [platform] };
  const [nodes, devices] = await Promise.all([list(join(root, 'sys/class/drm')), list(join(root, 'dev'))]);
  const found: string[] = [];
  let nvidia = false;
  for (const node of nodes.filter((name) => /^renderD\d+$/.test(name))) {
    const device = join(root, 'sys/class/drm', node, 'device');
    const driver = /^DRIVER=(.*)$/m.exec(await text(join(device, 'uevent')))?.[1] ?? 'unknown';
    if (virtualDrivers.has(driver)) continue;
    // Nouveau's cards are NVIDIA's, too, but CUDA does not run on them.
    if ((await text(join(device, 'vendor'))).trim() === nvidiaVendor && driver === 'nvidia') nvidia = true;
    found.push(`${driver} (${node})`);
  }
  for (const device of devices.filter((name) => /^nvidia\d+$/.test(name) || name === 'dxg')) {
    nvidia = true;
    found.push(device);
  }
  return { nvidia, any: found.length > 0, found };
}

/** The names in a folder; none where it cannot be read. */
async function list(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch {
    return [];
  }
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}
