// Tables: the answers of all queries, merged by their labels, in the order that the panel gives.
import { FieldType, toDataFrame } from '@grafana/data';

import { field } from './fields.js';

export function tableFrame(panel, targets, theme) {
  const organize = panel.transformations.find(({ id }) => id === 'organize').options;
  const rows = new Map();
  targets.forEach(({ series }, index) => {
    const column = targets.length > 1 ? `Value #${String.fromCharCode(65 + index)}` : 'Value';
    for (const { labels, values } of series) {
      const key = JSON.stringify(Object.entries(labels).sort());
      rows.set(key, { ...labels, ...rows.get(key), [column]: values.at(-1) });
    }
  });
  const names = Object.keys(organize.indexByName).sort((a, b) => organize.indexByName[a] - organize.indexByName[b]);
  const fields = names.map((name) => {
    const heading = organize.renameByName[name] ?? name;
    const values = [...rows.values()].map((row) => row[name] ?? null);
    const type = name.startsWith('Value') ? FieldType.number : FieldType.string;
    const shown = field(heading, type, values, { ...config(panel, heading), filterable: false }, theme);
    shown.getLinks = () => [];
    return shown;
  });
  const frame = toDataFrame({ fields: [] });
  return { ...frame, fields, length: rows.size };
}

function config(panel, heading) {
  const { defaults, overrides } = panel.fieldConfig;
  const found = { ...defaults, custom: { ...defaults.custom }, color: { mode: 'thresholds' } };
  for (const { matcher, properties } of overrides) {
    if (matcher.options === heading) {
      for (const { id, value } of properties) {
        if (id.startsWith('custom.')) {
          found.custom[id.slice('custom.'.length)] = value;
        } else {
          found[id] = value;
        }
      }
    }
  }
  return found;
}
