// A memory with one write port and one registered read port.
//
// Timing: read_data in cycle t + 1 is the word at read_address in cycle t.
module operand_bank #(
    parameter int BITS = 8,
    parameter int ADDRESS_BITS = 8
) (
    input  wire                    clk,
    input  wire                    write,
    input  wire [ADDRESS_BITS-1:0] write_address,
    input  wire [        BITS-1:0] write_data,
    input  wire [ADDRESS_BITS-1:0] read_address,
    output reg  [        BITS-1:0] read_data
);
  reg [BITS-1:0] words[0:(1<<ADDRESS_BITS)-1];

  always @(posedge clk) begin
    if (write) words[write_address] <= write_data;
    read_data <= words[read_address];
  end
endmodule
