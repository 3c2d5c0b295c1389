// ROWS x COLS weight-stationary PEs.
//
// Timing: an activation at row r's input in cycle t is multiplied in PE(r, c) in cycle t + c; the feeder delays row r by
// r, so that the sum of a stream index moves down one row a cycle, and `sums` shows it at the bottom one cycle after
// the last row's add. load_in[r] makes row r take the weights of the row above (row 0: weights_in): in all columns at
// once, or (DOUBLE = 1) in column c a further c cycles later, which is how late the activations come there.
// `corner_valid` is 1 while the last PE adds; bit r * COLS + c of `overflow` is PE(r, c)'s.
module ws_array #(
    parameter int ROWS = 16,
    parameter int COLS = 16,
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1,
    parameter int ACC_BITS = 24,
    parameter int SATURATE = 1,
    parameter int DOUBLE = 0
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire [  ROWS*A_BITS-1:0] activations_in,
    input  wire [         ROWS-1:0] valid_in,
    input  wire [         ROWS-1:0] swap_in,
    input  wire [         ROWS-1:0] load_in,
    input  wire [  COLS*W_BITS-1:0] weights_in,
    output wire [COLS*ACC_BITS-1:0] sums,
    output wire                     corner_valid,
    output wire [    ROWS*COLS-1:0] overflow
);
  // the nets left of and above each PE; the last column and row leave the array
  wire [  A_BITS-1:0] activation[0:ROWS*(COLS+1)-1];
  wire [         2:0] tags      [0:ROWS*(COLS+1)-1];
  wire [  W_BITS-1:0] weight    [0:(ROWS+1)*COLS-1];
  wire [ACC_BITS-1:0] sum       [0:(ROWS+1)*COLS-1];

  generate
    genvar r, c;
    for (c = 0; c < COLS; c = c + 1) begin : edge_column
      assign weight[c] = weights_in[c*W_BITS+:W_BITS];
      assign sum[c] = {ACC_BITS{1'b0}};
      assign sums[c*ACC_BITS+:ACC_BITS] = sum[ROWS*COLS+c];
      wire unused = &{1'b0, weight[ROWS*COLS+c]};
    end
    for (r = 0; r < ROWS; r = r + 1) begin : row
      assign activation[r*(COLS+1)] = activations_in[r*A_BITS+:A_BITS];
      assign tags[r*(COLS+1)] = {valid_in[r], swap_in[r], load_in[r]};
      wire unused = &{1'b0, activation[r*(COLS+1)+COLS], tags[r*(COLS+1)+COLS]};

      for (c = 0; c < COLS; c = c + 1) begin : col
        ws_pe #(
            .A_BITS  (A_BITS),
            .A_SIGNED(A_SIGNED),
            .W_BITS  (W_BITS),
            .W_SIGNED(W_SIGNED),
            .ACC_BITS(ACC_BITS),
            .SATURATE(SATURATE),
            .DOUBLE  (DOUBLE)
        ) pe (
            .clk(clk),
            .rst(rst),
            .activation_in(activation[r*(COLS+1)+c]),
            .valid_in(tags[r*(COLS+1)+c][2]),
            .swap_in(tags[r*(COLS+1)+c][1]),
            .load_in(DOUBLE != 0 ? tags[r*(COLS+1)+c][0] : load_in[r]),
            .weight_in(weight[r*COLS+c]),
            .sum_in(sum[r*COLS+c]),
            .activation(activation[r*(COLS+1)+c+1]),
            .valid(tags[r*(COLS+1)+c+1][2]),
            .swap(tags[r*(COLS+1)+c+1][1]),
            .load(tags[r*(COLS+1)+c+1][0]),
            .weight(weight[(r+1)*COLS+c]),
            .sum(sum[(r+1)*COLS+c]),
            .overflow(overflow[r*COLS+c])
        );
      end
    end
  endgenerate

  assign corner_valid = tags[(ROWS-1)*(COLS+1)+COLS-1][2];
endmodule
