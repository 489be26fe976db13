// Draws the kinds of panels that the dashboards have.
import { dateTime, FieldType, getDisplayProcessor, toDataFrame } from '@grafana/data';
import { BigValue, Table, TimeSeries } from '@grafana/ui';

import { field } from './fields.js';
import { Heatmap } from './heatmap.jsx';
import { tableFrame } from './tables.js';

const LINE = { axisPlacement: 'auto', axisColorMode: 'text', scaleDistribution: { type: 'linear' }, pointSize: 5 };

export function draw(panel, targets, span, theme, width, height) {
  const kinds = { timeseries: lines, stat: number, table: rows, heatmap: cells };
  return kinds[panel.type](panel, targets, span, theme, width, height);
}

function lines(panel, targets, span, theme, width, height) {
  const { defaults } = panel.fieldConfig;
  const config = { ...defaults, color: { mode: 'palette-classic' }, custom: { ...LINE, ...defaults.custom } };
  let index = 0;
  const frames = targets.flatMap(({ series }) =>
    series.map(({ name, times, values }) => {
      const frame = toDataFrame({
        fields: [
          { name: 'Time', type: FieldType.time, values: times, config: {} },
          { name, type: FieldType.number, values, config: { ...config, displayName: name } },
        ],
      });
      const [, value] = frame.fields;
      value.state = { seriesIndex: index++, displayName: name };
      value.display = getDisplayProcessor({ field: value, theme, timeZone: 'utc' });
      return frame;
    })
  );
  const range = { from: dateTime(span.from), to: dateTime(span.to), raw: { from: '', to: '' } };
  const exemplars = targets.flatMap((target) => target.exemplars);
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={range}
      timeZone="utc"
      legend={panel.options.legend}
      options={{}}
    >
      {(builder) => {
        builder.addHook('draw', (plot) => dots(plot, exemplars, theme));
        return null;
      }}
    </TimeSeries>
  );
}

/** Exemplars, as Grafana draws them: a diamond for each trace. */
function dots(plot, exemplars, theme) {
  const { scale } = plot.series[1];
  plot.ctx.fillStyle = theme.visualization.getColorByName('super-light-blue');
  for (const { time, value } of exemplars) {
    const x = plot.valToPos(time * 1000, 'x', true); // its axis is in ms
    const y = Math.max(plot.valToPos(value, scale, true), plot.bbox.top);
    plot.ctx.beginPath();
    plot.ctx.moveTo(x, y - 5);
    plot.ctx.lineTo(x + 4, y);
    plot.ctx.lineTo(x, y + 5);
    plot.ctx.lineTo(x - 4, y);
    plot.ctx.fill();
  }
}

function number(panel, [target], span, theme, width, height) {
  const [series] = target.series;
  const config = { ...panel.fieldConfig.defaults, color: { mode: 'thresholds' } };
  const values = series ? series.values : [];
  const shown = field(target.legend, FieldType.number, values, config, theme);
  const known = values.filter((one) => one !== null);
  const [min, max] = [Math.min(...known), Math.max(...known)];
  shown.state = { range: { min, max, delta: max - min } }; // what the sparkline spans
  const value = shown.display(values.at(-1) ?? null);
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  const spark = graphMode === 'area' && values.length > 1;
  return (
    <BigValue
      value={{ ...value, title: '' }}
      width={width}
      height={height}
      theme={theme}
      colorMode={colorMode}
      graphMode={graphMode}
      justifyMode={justifyMode}
      textMode={textMode}
      sparkline={spark ? { x: field('Time', FieldType.time, series.times, {}, theme), y: shown } : undefined}
    />
  );
}

function rows(panel, targets, span, theme, width, height) {
  const data = tableFrame(panel, targets, theme);
  return <Table data={data} width={width} height={height} cellHeight="sm" initialSortBy={panel.options.sortBy} />;
}

function cells(panel, [target], span, theme, width, height) {
  return <Heatmap panel={panel} series={target.series} span={span} theme={theme} width={width} height={height} />;
}
