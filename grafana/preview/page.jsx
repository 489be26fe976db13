// One dashboard as a page: its JSON and the answers of Prometheus, drawn with Grafana's own components.
import { createTheme, ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { draw } from './panels.jsx';

const CELL = 30; // Grafana's grid: height of a cell, and the gap between panels, in px
const GAP = 8;
const COLUMNS = 24;
const EDGE = 16;

const { board, answers, span, chosen } = window.PREVIEW;
const theme = createTheme({ colors: { mode: 'dark' } });
const column = (window.innerWidth - 2 * EDGE + GAP) / COLUMNS;

function place({ x, y, w, h }) {
  return {
    position: 'absolute',
    left: x * column,
    top: y * (CELL + GAP),
    width: w * column - GAP,
    height: h * (CELL + GAP) - GAP,
  };
}

function Row({ panel }) {
  const style = { ...place(panel.gridPos), display: 'flex', alignItems: 'center', fontSize: 18 };
  return <div style={style}>⌄&nbsp; {panel.title}</div>;
}

function Panel({ panel }) {
  const box = place(panel.gridPos);
  return (
    <div style={box}>
      <PanelChrome title={panel.title} width={box.width} height={box.height}>
        {(width, height) => draw(panel, answers[panel.id], span, theme, width, height)}
      </PanelChrome>
    </div>
  );
}

function Page() {
  const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const variables = board.templating.list.map(({ name, label }) => (
    <span key={name} style={{ marginRight: 24, color: theme.colors.text.secondary }}>
      {label} <b style={{ color: theme.colors.text.primary }}>{chosen[name] ?? 'All'}</b>
    </span>
  ));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ padding: EDGE, background: theme.colors.background.canvas, fontFamily: theme.typography.fontFamily }}>
        <div style={{ fontSize: 22, marginBottom: 8 }}>{board.title}</div>
        <div style={{ marginBottom: 16 }}>{variables}</div>
        <div style={{ position: 'relative', height: bottom * (CELL + GAP) }}>
          {board.panels.map((panel) =>
            panel.type === 'row' ? <Row key={panel.id} panel={panel} /> : <Panel key={panel.id} panel={panel} />
          )}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

initPluginTranslations('streamix').then(() => createRoot(document.getElementById('page')).render(<Page />));
