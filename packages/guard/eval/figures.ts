/** Wilson score interval of a proportion, 95 %. */
export function wilson(hits: number, total: number): readonly [low: number, high: number] {
  if (total === 0) return [0, 1];
  const z = 1.96;
  const p = hits / total;
  const centre = p + (z * z) / (2 * total);
  const spread = z * Math.sqrt((p * (1 - p)) / total + (z * z) / (4 * total * total));
  const scale = 1 + (z * z) / total;
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)];
}

/** `12.3 % [10.1, 14.9] (45/366)` */
export function rate(hits: number, total: number): string {
  const percent = (value: number): string => (100 * value).toFixed(1);
  const [low, high] = wilson(hits, total);
  return `${percent(total === 0 ? 0 : hits / total)} % [${percent(low)}, ${percent(high)}] (${hits}/${total})`;
}

/** Columns aligned, one space apart at least two. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
